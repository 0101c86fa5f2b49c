"""The pages an engine is asked for, and the Protocol of who reads them into a report. Pure: bytes in, values out."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from trimtab.config import EndpointSettings
from trimtab.pool.engines.report import EngineReport

METRICS = "metrics"
MODELS = "models"
Pages = Mapping[str, bytes]
"""What was answered, by the page's name; pages the engine does not have are left out."""


class Page(msgspec.Struct, frozen=True):
    """A page by `name`: `path` behind the engine's root, '' for the Prometheus page. `wanted`: whether to ask for it
    at an endpoint of such settings; `needed`: without it there is no report; `unless`: not where that page came."""

    name: str
    path: str
    needed: bool = True
    unless: str = ""
    wanted: Callable[[EndpointSettings], bool] = lambda settings: True


class Reader(Protocol):
    """An engine's way of speaking of itself."""

    @property
    def pages(self) -> tuple[Page, ...]:
        """In the order in which they are asked for."""
        ...

    def report(self, pages: Pages, at: float) -> EngineReport:
        """Raises ValueError where a page is not what this engine sends."""
        ...


class _Card(msgspec.Struct, gc=False):
    id: str = ""
    parent: str | None = None


class _Cards(msgspec.Struct, gc=False):
    data: list[_Card] = []


_CARDS = msgspec.json.Decoder(_Cards)


def wants_adapters(settings: EndpointSettings) -> bool:
    """Whether adapters are loaded and unloaded there."""
    return bool(settings.adapters)


def adapters_of(pages: Pages) -> frozenset[str] | None:
    """The models with a `parent` on OpenAI's `/v1/models`: how vLLM and SGLang list adapters that are loaded."""
    page = pages.get(MODELS)
    if page is None:
        return None
    return frozenset(card.id for card in _CARDS.decode(page).data if card.parent)


ADAPTERS_PAGE = Page(MODELS, "/v1/models", wanted=wants_adapters)
