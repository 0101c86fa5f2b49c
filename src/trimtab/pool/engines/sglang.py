"""SGLang's pages: /v1/loads where there is one, else /metrics (with --enable-metrics); /v1/models for adapters.

Names: python/sglang/srt/entrypoints/v1_loads.py and managers/io_struct.py (GetLoadsReqOutput: one of them for each
data-parallel rank), metrics `sglang:*` of docs "Production Metrics".
"""

import msgspec

from trimtab.pool.engines.exposition import Exposition
from trimtab.pool.engines.pages import ADAPTERS_PAGE, METRICS, Page, Pages, adapters_of
from trimtab.pool.engines.report import EngineReport

_RUNNING = "sglang:num_running_reqs"
_WAITING = "sglang:num_queue_reqs"
_USED = "sglang:token_usage"
_HIT_SHARE = "sglang:cache_hit_rate"
_LOADS = "loads"


class _Load(msgspec.Struct, gc=False):
    num_running_reqs: int = 0
    num_waiting_reqs: int = 0
    token_usage: float = 0.0
    cache_hit_rate: float = 0.0


class _Loads(msgspec.Struct, gc=False):
    loads: list[_Load] = []


class Sglang:
    """See Reader."""

    pages = (Page(_LOADS, "/v1/loads?include=core", False), Page(METRICS, "", False, _LOADS), ADAPTERS_PAGE)

    def report(self, pages: Pages, at: float) -> EngineReport:
        """See Reader."""
        if _LOADS in pages:
            ranks = msgspec.json.decode(pages[_LOADS], type=_Loads).loads
            if ranks:
                return _of_loads(ranks, pages, at)
        told = Exposition(pages.get(METRICS, b""), (_RUNNING, _WAITING, _USED, _HIT_SHARE))
        if told.total(_RUNNING) is None:
            raise ValueError("neither /v1/loads nor sglang:num_running_reqs; start it with --enable-metrics")
        return EngineReport(
            at=at,
            running=told.count(_RUNNING),
            waiting=told.count(_WAITING),
            kv_used=told.mean(_USED),
            prefix_share=told.mean(_HIT_SHARE),
            adapters=adapters_of(pages),
        )


def _of_loads(ranks: list[_Load], pages: Pages, at: float) -> EngineReport:
    return EngineReport(
        at=at,
        running=sum(rank.num_running_reqs for rank in ranks),
        waiting=sum(rank.num_waiting_reqs for rank in ranks),
        kv_used=sum(rank.token_usage for rank in ranks) / len(ranks),
        prefix_share=sum(rank.cache_hit_rate for rank in ranks) / len(ranks),
        adapters=adapters_of(pages),
    )
