"""vLLM's pages: /metrics, /v1/models where adapters are loaded, /is_sleeping where it may sleep.

Names as in vLLM 0.32: vllm/v1/metrics/loggers.py, vllm/entrypoints/openai/models/serving.py (cards of adapters have a
`parent`), vllm/entrypoints/serve/dev/sleep/api_router.py. Counters come with `_total` from prometheus_client.
"""

import msgspec

from trimtab.config import EndpointSettings
from trimtab.pool.engines.exposition import Exposition
from trimtab.pool.engines.pages import ADAPTERS_PAGE, METRICS, Page, Pages, adapters_of
from trimtab.pool.engines.report import EngineReport

_RUNNING = "vllm:num_requests_running"
_WAITING = "vllm:num_requests_waiting"
_KV_USED = "vllm:kv_cache_usage_perc"
_KV_USED_BEFORE_V1 = "vllm:gpu_cache_usage_perc"
_HITS = "vllm:prefix_cache_hits"
_QUERIES = "vllm:prefix_cache_queries"
_LORA = "vllm:lora_requests_info"
_NAMES = (_RUNNING, _WAITING, _KV_USED, _KV_USED_BEFORE_V1, _HITS, _QUERIES, _LORA)
_SLEEPING = "sleeping"


class _Sleeping(msgspec.Struct, gc=False):
    is_sleeping: bool = False


def _may_sleep(settings: EndpointSettings) -> bool:
    return bool(settings.shares)


class Vllm:
    """See Reader."""

    pages = (
        Page(METRICS, ""),
        ADAPTERS_PAGE,
        Page(_SLEEPING, "/is_sleeping", needed=False, wanted=_may_sleep),
    )

    def report(self, pages: Pages, at: float) -> EngineReport:
        """See Reader."""
        told = Exposition(pages[METRICS], _NAMES)
        if told.total(_RUNNING) is None:
            raise ValueError(f"no {_RUNNING} on its metrics page")
        kv_used = told.mean(_KV_USED)
        listed, busy = adapters_of(pages), _busy_adapters(told)
        sleeping = pages.get(_SLEEPING)
        return EngineReport(
            at=at,
            running=told.count(_RUNNING),
            waiting=told.count(_WAITING),
            kv_used=told.mean(_KV_USED_BEFORE_V1) if kv_used is None else kv_used,
            prefix_hits=told.total(_HITS) or 0.0,
            prefix_tokens=told.total(_QUERIES) or 0.0,
            adapters=busy if listed is None else listed,
            asleep=sleeping is not None and msgspec.json.decode(sleeping, type=_Sleeping).is_sleeping,
        )


def _busy_adapters(told: Exposition) -> frozenset[str] | None:
    """Those that serve calls now. Every combination leaves a sample whose value is its time: the latest one holds."""
    latest = max(told.samples(_LORA), key=lambda sample: sample[1], default=None)
    if latest is None:
        return None
    named = latest[0].get("running_lora_adapters", "") + "," + latest[0].get("waiting_lora_adapters", "")
    return frozenset(name.strip() for name in named.split(",") if name.strip())
