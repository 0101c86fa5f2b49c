"""Ollama's page: /api/ps, which models are in memory. It tells nothing of its queue.

Names: docs/api.md of Ollama ("List Running Models").
"""

import msgspec

from trimtab.pool.engines.pages import Page, Pages
from trimtab.pool.engines.report import EngineReport

_LOADED = "ps"
_LATEST = ":latest"


class _Model(msgspec.Struct, gc=False):
    name: str = ""


class _Models(msgspec.Struct, gc=False):
    models: list[_Model]


class Ollama:
    """See Reader."""

    pages = (Page(_LOADED, "/api/ps"),)

    def report(self, pages: Pages, at: float) -> EngineReport:
        """See Reader. A model of no tag is its `latest`: it goes by both names."""
        names = [model.name for model in msgspec.json.decode(pages[_LOADED], type=_Models).models]
        return EngineReport(at=at, models=frozenset(names) | {name.removesuffix(_LATEST) for name in names})
