"""The page Endpoints: how each stands here, how it did within the hour, what its engine says, what it asks."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.config import EndpointSettings, prices_of
from trimtab.console.masks import masked
from trimtab.console.premises import Premises
from trimtab.console.traffic import MINUTES, EndpointHour, endpoints_of
from trimtab.console.visitor import Visitor
from trimtab.core import Price
from trimtab.pool import Endpoint
from trimtab.store import traffic

_MOST = 200
_MOST_MODELS = 6
_PRICE_SECONDS = 600.0
_STATES = {"closed": ("in use", "good"), "half_open": ("being tried", "warn"), "open": ("left alone", "bad")}
_HOUR = 3_600


class Standing(msgspec.Struct, frozen=True):
    """An endpoint in this process. Seconds are None before the first reply; `tone` is how the page marks it."""

    state: str
    tone: str
    in_flight: int
    share: int
    queued: int
    p50: float | None
    p95: float | None
    first_token_p50: float | None


class Place(msgspec.Struct, frozen=True):
    """An endpoint of the settings, its URL without secrets; `standing` is None where this process serves no calls."""

    settings: EndpointSettings
    url: str
    models: tuple[str, ...]
    more_models: int
    standing: Standing | None


class PriceLine(msgspec.Struct, frozen=True):
    """What an endpoint asks for a model. `charges_itself`: another Trimtab, which tells what each call cost."""

    endpoint: str
    model: str
    price: Price
    charges_itself: bool

    @property
    def gpu_hour(self) -> int:
        """What its machine costs an hour, in nanodollars."""
        return self.price.gpu_second_nanodollars * _HOUR


class EndpointsPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/endpoints`: all of them."""
        premises = self._premises
        until = int(premises.clock.now() // 60)

        def work(connection: Connection) -> list[EndpointHour]:
            return endpoints_of(traffic.minutes(connection, None, until - MINUTES, until))

        hours = await premises.reader.read(work)
        known = premises.loaded.settings.endpoint
        named = {each.name for each in known}
        prices = await self._prices()
        return premises.sheets.page(
            "endpoints",
            visitor,
            "Endpoints",
            places=[self._place(each) for each in known[:_MOST]],
            more=max(0, len(known) - _MOST),
            hours=hours[:_MOST],
            strange={each.name for each in hours} - named,
            engines=[] if premises.figures is None else sorted(premises.figures(), key=lambda e: e.endpoint),
            prices=prices[:_MOST],
            more_prices=max(0, len(prices) - _MOST),
            serves=premises.pool is not None,
        )

    def _place(self, settings: EndpointSettings) -> Place:
        pool, models = self._premises.pool, settings.models
        live = None if pool is None else pool.endpoints.get(settings.name)
        return Place(
            settings=settings,
            url=masked(settings.url),
            models=models[:_MOST_MODELS],
            more_models=max(0, len(models) - _MOST_MODELS),
            standing=None if live is None else _standing(live),
        )

    async def _prices(self) -> list[PriceLine]:
        """By endpoint and model. Published prices are read from the disk where no calls are served by them."""
        premises, settings = self._premises, self._premises.loaded.settings
        table: Mapping[tuple[str, str], Price]
        if premises.pool is None:
            table = await premises.reader.kept(
                "endpoint prices", _PRICE_SECONDS, lambda: premises.reader.run(lambda: prices_of(settings))
            )
        else:
            pool = premises.pool
            table = {(e.name, m): pool.price(e.name, m) for e in settings.endpoint for m in e.models}
        return _lines(settings.endpoint, table)


def _standing(live: Endpoint) -> Standing:
    state, tone = _STATES.get(live.breaker_state, (live.breaker_state, "warn"))
    if live.breaker_state == "open" and live.available:
        state, tone = "to be tried", "warn"
    return Standing(
        state=state,
        tone=tone,
        in_flight=live.in_flight,
        share=live.share,
        queued=live.queued,
        p50=live.latency.p50_seconds,
        p95=live.latency.p95_seconds,
        first_token_p50=live.first_token.p50_seconds,
    )


def _lines(endpoints: Sequence[EndpointSettings], table: Mapping[tuple[str, str], Price]) -> list[PriceLine]:
    return [
        PriceLine(each.name, model, table.get((each.name, model), Price()), each.style == "trimtab")
        for each in endpoints
        for model in each.models
    ]
