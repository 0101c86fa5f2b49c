"""NVIDIA Dynamo's page: /metrics of its frontend, which speaks for all workers behind it.

Names: "Metrics Catalog" of the Dynamo docs. A queued request has no first token yet; it is in flight as well.
"""

from trimtab.pool.engines.exposition import Exposition
from trimtab.pool.engines.pages import METRICS, Page, Pages
from trimtab.pool.engines.report import EngineReport

_IN_FLIGHT = "dynamo_frontend_inflight_requests"
_QUEUED = "dynamo_frontend_queued_requests"
_KV_USED = "dynamo_component_kvstats_gpu_cache_usage_percent"
_HIT_SHARE = "dynamo_component_kvstats_gpu_prefix_cache_hit_rate"


class Dynamo:
    """See Reader."""

    pages = (Page(METRICS, ""),)

    def report(self, pages: Pages, at: float) -> EngineReport:
        """See Reader. A family is empty until its first request: then nothing is in flight."""
        page = pages[METRICS]
        told = Exposition(page, (_IN_FLIGHT, _QUEUED, _KV_USED, _HIT_SHARE))
        if b"dynamo_" not in page:
            raise ValueError("no dynamo_* on its metrics page")
        in_flight, queued = told.count(_IN_FLIGHT) or 0, told.count(_QUEUED) or 0
        return EngineReport(
            at=at,
            running=max(0, in_flight - queued),
            waiting=queued,
            kv_used=told.mean(_KV_USED),
            prefix_share=told.mean(_HIT_SHARE),
        )
