"""llama.cpp's pages: /slots (on by default) and /metrics (with --metrics); either will do.

Names: tools/server/README.md of llama.cpp ("GET /slots", "GET /metrics").
"""

import msgspec

from trimtab.pool.engines.exposition import Exposition
from trimtab.pool.engines.pages import METRICS, Page, Pages
from trimtab.pool.engines.report import EngineReport

_RUNNING = "llamacpp:requests_processing"
_WAITING = "llamacpp:requests_deferred"
_KV_USED = "llamacpp:kv_cache_usage_ratio"
_SLOTS = "slots"


class _Slot(msgspec.Struct, gc=False):
    is_processing: bool = False


class LlamaCpp:
    """See Reader."""

    pages = (Page(_SLOTS, "/slots", False), Page(METRICS, "", False))

    def report(self, pages: Pages, at: float) -> EngineReport:
        """See Reader. Older servers tell how full the KV cache is."""
        told = Exposition(pages.get(METRICS, b""), (_RUNNING, _WAITING, _KV_USED))
        running = told.count(_RUNNING)
        if _SLOTS in pages:
            running = sum(slot.is_processing for slot in msgspec.json.decode(pages[_SLOTS], type=list[_Slot]))
        if running is None:
            raise ValueError("neither /slots nor /metrics; start it without --no-slots, or with --metrics")
        return EngineReport(at=at, running=running, waiting=told.count(_WAITING), kv_used=told.mean(_KV_USED))
