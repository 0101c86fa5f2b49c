"""All endpoints, and what each offers for a call."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from trimtab.config import EndpointSettings, ModelSettings, Settings, TenantSettings
from trimtab.core import Call, Clock, Offer, Price
from trimtab.core.errors import UnknownModel
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.terms import OfferTerms

_LONGEST_SHOWN = 200


class Pool:
    """Constructed by `app/`. `prices` by (endpoint, model). `among`: of those that serve a model, the ones to offer
    (the others would have to load it first)."""

    def __init__(
        self,
        settings: Settings,
        secrets: Mapping[str, str],
        prices: Mapping[tuple[str, str], Price],
        clock: Clock,
    ) -> None:
        # Each call brings its own tenant's bound; this one must not cut off tenants without a table.
        tenant_limit = max(each.max_queued for each in (*settings.tenant, TenantSettings(name="*")))
        self.endpoints = {
            each.name: Endpoint(each, secrets.get(each.name, ""), clock, tenant_limit)
            for each in settings.endpoint
        }
        self._models = {model.name: model for model in settings.model}
        self._prices = prices
        self._terms: dict[tuple[str, str], OfferTerms] = {}
        self._served = _served(settings.endpoint)
        self.among: Callable[[str, Sequence[str]], Sequence[str]] = lambda model, names: names

    @property
    def names(self) -> list[str]:
        """Every model a client may name, sorted."""
        return sorted({*self._served, *(m.name for m in self._models.values() if m.candidates)})

    def model(self, name: str) -> ModelSettings:
        """What is known of a model."""
        return self._models.get(name) or ModelSettings(name=name)

    def candidates(self, name: str) -> tuple[str, ...]:
        """The models a name stands for. Raises UnknownModel naming close matches."""
        if name in self._served:
            return (name,)
        known = self._models.get(name)
        if known is not None and known.candidates:
            return known.candidates
        name = name[:_LONGEST_SHOWN]
        close = difflib.get_close_matches(name, self.names, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else f"; known: {', '.join(self.names[:20])}"
        raise UnknownModel(f"no endpoint serves the model {name!r}{hint}", param="model")

    def offers(self, call: Call, models: Sequence[str]) -> tuple[Offer, ...]:
        """Every endpoint's terms for a call to any of `models`."""
        return tuple(
            [
                self._offer(self.endpoints[name], model, call)
                for model in models
                for name in self.among(model, self._served.get(model, ()))
                if _speaks(self.endpoints[name].settings, call)
            ]
        )

    def serving(self, model: str) -> Sequence[str]:
        """The endpoints that serve a model."""
        return self._served.get(model, ())

    def price(self, endpoint: str, model: str) -> Price:
        """The price of a model at an endpoint."""
        return self._prices.get((endpoint, model)) or Price()

    def terms(self, endpoint: str, model: str) -> OfferTerms:
        """A known endpoint's terms for a model."""
        found = self._terms.get((endpoint, model))
        if found is None:
            known, settings = self.model(model), self.endpoints[endpoint].settings
            found = self._terms[endpoint, model] = OfferTerms(
                endpoint,
                model,
                self.price(endpoint, model),
                known.quality if settings.quality is None else settings.quality,
                settings.precision_bits,
                settings.context_tokens or known.context_tokens,
                frozenset(settings.capabilities or known.capabilities),
                settings.timeouts.total,
            )
        return found

    def _offer(self, endpoint: Endpoint, model: str, call: Call) -> Offer:
        speed = endpoint.speed
        return self.terms(endpoint.name, model).offer(
            call,
            latency_seconds=speed.p50,
            first_token_seconds=speed.first_token_p50,
            p95_seconds=speed.p95,
            in_flight=endpoint.in_flight,
            queued=endpoint.queued,
            concurrency=endpoint.share,
            available=endpoint.available,
        )


def _served(endpoints: Sequence[EndpointSettings]) -> dict[str, list[str]]:
    served: dict[str, list[str]] = {}
    for endpoint in endpoints:
        for model in endpoint.models:
            served.setdefault(model, []).append(endpoint.name)
    return served


def _speaks(settings: EndpointSettings, call: Call) -> bool:
    return call.surface != "embeddings" or settings.style != "anthropic"
