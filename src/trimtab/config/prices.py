"""What each endpoint asks for each model it serves, in nanodollars: by trimtab.toml, else by `genai-prices`.

`app/` builds the table once at start, and again now and then where providers change prices by date or time of
day. Prices per audio, image or video token are not read: core counts tokens of one kind.

Source of the published prices: the data that ships in the wheel of genai-prices; nothing is fetched.
"""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trimtab.config.names import is_named
from trimtab.config.serving import EndpointSettings, ModelSettings, PriceSettings, TierSettings
from trimtab.config.settings import Settings
from trimtab.config.source import Source
from trimtab.core import NANODOLLARS_PER_USD, Price, PriceBasis, Rates, nanodollars_of

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

    _Published = tuple[ModelPrice, PriceBasis]

PriceTable = Mapping[tuple[str, str], Price]
"""Prices by (endpoint name, model name)."""

_PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".svc", ".test", ".invalid")
_SECONDS_AN_HOUR = 3600


def prices_of(settings: Settings, at: float | None = None) -> PriceTable:
    """The price of every model at every endpoint that serves it. `at`: epoch seconds; None is now."""
    return {
        (endpoint.name, model): price_of(settings, endpoint, model, at)
        for endpoint in settings.endpoint
        for model in endpoint.models
    }


def price_of(settings: Settings, endpoint: EndpointSettings, model: str, at: float | None = None) -> Price:
    """What `endpoint` asks for `model` at `at` (epoch seconds; None is now).

    The first that is there counts: the endpoint's `price`; its `gpu_hour_usd` (which adds to its own `price`
    and stands in for all that follows); the model's `price`; the model's `price_as`; the published price of
    the provider whose URL it is; at other public hosts, the published price by the model's name. Where nobody
    knows, and for another Trimtab (which charges itself), `Price.known` is False. Where only the beginning of
    the name fits a published one, its `basis` is `similar`.
    """
    gpu_second = _ceiling(Decimal(str(endpoint.gpu_hour_usd)) * NANODOLLARS_PER_USD / _SECONDS_AN_HOUR)
    if endpoint.style == "trimtab":
        return Price()
    if endpoint.price is not None:
        return _own_price(endpoint.price, gpu_second)
    if gpu_second:
        return Price(gpu_second_nanodollars=gpu_second)
    about = next((entry for entry in settings.model if entry.name == model), None)
    if about is not None and about.price is not None:
        return _own_price(about.price, 0)
    published = _published_as(about, at) if about and about.price_as else _published(endpoint, model, at)
    return Price() if published is None else _published_price(*published)


def check_prices(settings: Settings, source: Source | None = None) -> None:
    """Raise ConfigError where a `price_as` names no priced model. Loads the price data only if need be."""
    for index, model in enumerate(settings.model):
        if model.price_as and _published_as(model, None) is None:
            raise (source or Source()).error(
                ("model", index, "price_as"),
                f'genai-prices knows no price of "{model.price_as}"; write "provider/model", or give `price`',
            )


def is_private(url: str) -> bool:
    """Whether a URL leads to a machine of our own: a private address, or a name without a public domain."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _own_price(price: PriceSettings, gpu_second_nanodollars: int) -> Price:
    return Price(
        tiers=(_own_rates(price), *(_own_rates(tier, tier.above_input_tokens + 1) for tier in price.tiers)),
        request_nanodollars=nanodollars_of(price.request),
        web_search_nanodollars=nanodollars_of(price.web_search),
        gpu_second_nanodollars=gpu_second_nanodollars,
    )


def _own_rates(price: PriceSettings | TierSettings, from_input_tokens: int = 0) -> Rates:
    def rate(usd: float | None) -> int | None:
        return None if usd is None else nanodollars_of(usd)

    return Rates(
        input=nanodollars_of(price.input),
        output=nanodollars_of(price.output),
        cached=rate(price.cached),
        cache_write=rate(price.cache_write),
        cache_write_hour=rate(price.cache_write_hour),
        reasoning=rate(price.reasoning),
        above_input_tokens=from_input_tokens,
    )


def _published_as(model: ModelSettings, at: float | None) -> "_Published | None":
    provider, _, name = model.price_as.partition("/")
    return _lookup(name, at, provider_id=provider)


def _published(endpoint: EndpointSettings, model: str, at: float | None) -> "_Published | None":
    if is_private(endpoint.url):
        return None
    names = dict.fromkeys([endpoint.upstream_names.get(model, model), model])
    url = endpoint.url if _is_known_provider(endpoint.url) else None
    found = (_lookup(name, at, provider_api_url=url) for name in names)
    return next((price for price in found if price is not None), None)


def _is_known_provider(url: str) -> bool:
    """Whether genai-prices knows the provider behind a URL; then only its own list counts."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        get_snapshot().find_provider(None, None, url)
    except LookupError:
        return False
    return True


def _lookup(
    model: str, at: float | None, *, provider_id: str | None = None, provider_api_url: str | None = None
) -> "_Published | None":
    """The published price in force at `at` and whose it is. The import takes 0.2 s, so it waits for its need."""
    from genai_prices import Usage, calc_price

    moment = None if at is None else datetime.fromtimestamp(at, UTC)
    try:
        if provider_id is not None:
            found = calc_price(Usage(), model, provider_id=provider_id, genai_request_timestamp=moment)
        else:
            found = calc_price(
                Usage(), model, provider_api_url=provider_api_url, genai_request_timestamp=moment
            )
    except LookupError:
        return None
    has_tokens = found.model_price.input_mtok is not None or found.model_price.output_mtok is not None
    if not has_tokens and found.model_price.requests_kcount is None:
        return None
    return found.model_price, "published" if is_named(found.model, model) else "similar"


def _published_price(price: "ModelPrice", basis: PriceBasis) -> Price:
    return Price(
        tiers=tuple(_published_rates(price, start) for start in _starts(price)),
        request_nanodollars=_nanodollars(price, "requests_kcount", -1, per=1000) or 0,
        web_search_nanodollars=_nanodollars(price, "web_searches_kcount", -1, per=1000) or 0,
        basis=basis,
    )


def _starts(price: "ModelPrice") -> list[int]:
    """Where tiers begin, -1 for the base: a tier holds for prompts of *more* tokens than its start."""
    from genai_prices.types import TieredPrices

    tiered = [value for value in vars(price).values() if isinstance(value, TieredPrices)]
    return sorted({-1, *(tier.start for value in tiered for tier in value.tiers)})


def _published_rates(price: "ModelPrice", start: int) -> Rates:
    def rate(key: str) -> int | None:
        return _nanodollars(price, key, start)

    return Rates(
        input=rate("input_mtok") or 0,
        output=rate("output_mtok") or 0,
        cached=rate("cache_read_mtok"),
        cache_write=rate("cache_write_mtok"),
        cache_write_hour=rate("cache_write_1h_mtok"),
        reasoning=rate("output_reasoning_mtok"),
        above_input_tokens=start + 1,
    )


def _nanodollars(price: "ModelPrice", key: str, start: int, per: int = 1) -> int | None:
    """The rate under `key` for prompts of just over `start` tokens, divided by `per`, rounded up."""
    from genai_prices.types import TieredPrices

    value = getattr(price, key, None)
    if isinstance(value, TieredPrices):
        value = next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
    return None if value is None else _ceiling(Decimal(value) * NANODOLLARS_PER_USD / per)


def _ceiling(nanodollars: Decimal) -> int:
    return int(nanodollars.to_integral_value(rounding=ROUND_CEILING))


def published_name(model: str) -> str | None:
    """The `provider/model` under which genai-prices lists a model, None where it lists none of that name."""
    from genai_prices import Usage, calc_price

    try:
        found = calc_price(Usage(), model)
    except (LookupError, ValueError):
        return None
    return f"{found.provider.id}/{found.model.id}" if is_named(found.model, model) else None
