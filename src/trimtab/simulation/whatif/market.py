"""What the endpoints of other settings would have offered for a recorded call, and what those settings choose.

Prices, qualities and capabilities come from the other settings; how busy and how fast an endpoint was comes from the
offer that was recorded with the call. Rules, policies and the offers' arithmetic are those that serve.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from trimtab.config import PriceTable, Settings, WorkflowSettings
from trimtab.core import Attribution, Call, Offer, Plan, Price, SystemClock
from trimtab.core.errors import CallError
from trimtab.dispatch import Router
from trimtab.pool import OfferTerms, Pool
from trimtab.routing import Policy, sticky_unit
from trimtab.simulation.whatif.trail import Recorded

Place = tuple[str, str]
_MOST_UNITS = 8_192
_PLAIN = WorkflowSettings()


class Routing(msgspec.Struct, frozen=True, gc=False):
    """A plan with the offers it was made of; `code` of the refusal where there is none (`plan` is None then)."""

    plan: Plan | None
    offers: tuple[Offer, ...] = ()
    recalls: bool = False
    code: str = ""


class _Stand(msgspec.Struct, frozen=True, gc=False):
    """A model at an endpoint: its terms, and an offer as nobody has called it yet."""

    terms: OfferTerms
    rest: Offer
    embeds: bool


class Market:
    """The endpoints of `settings`; `policies` are built of the same settings."""

    def __init__(self, settings: Settings, prices: PriceTable, policies: Mapping[str, Policy]) -> None:
        self._settings, self._policies = settings, policies
        pool = self._pool = Pool(settings, {}, prices, SystemClock())
        self._router = Router(settings, pool, policies)
        self._stands: dict[str, list[_Stand]] = {}
        for model in {model: None for endpoint in settings.endpoint for model in endpoint.models}:
            embedding = {offer.endpoint for offer in pool.offers(_probe("embeddings"), (model,))}
            self._stands[model] = [
                _Stand(pool.terms(offer.endpoint, model), offer, offer.endpoint in embedding)
                for offer in pool.offers(_probe("chat"), (model,))
            ]
        self._asked: dict[tuple[tuple[str, ...], bool], list[_Stand]] = {}
        self._seen: dict[tuple[str, int], tuple[Offer, ...]] = {}
        self._unit = lru_cache(_MOST_UNITS)(sticky_unit)

    def price(self, endpoint: str, model: str) -> Price:
        """What the settings say a model costs there."""
        return self._pool.price(endpoint, model)

    def serves(self, endpoint: str, model: str) -> bool:
        """Whether the settings know the model there."""
        return any(stand.terms.endpoint == endpoint for stand in self._stands.get(model, ()))

    def route(self, recorded: Recorded, remaining_nanodollars: int | None) -> Routing:
        """What the settings choose for the call; `remaining_nanodollars` is what is left of its budgets."""
        call, decision = recorded.call, recorded.decision
        if call.route and not allows(self._workflow(call), "route"):
            call = msgspec.structs.replace(call, route="")
        try:
            choice = self._router.choose(call, remaining_nanodollars)
            models = self._steered(recorded) or choice.models
            offers = self.offers(call, models, decision.offers if decision is not None else ())
            same = decision is not None and decision.policy == choice.policy
            unit = decision.unit if same and decision else self._unit(call.who.run, choice.policy)
            plan = self._policies[choice.policy].choose(call, offers, unit)
        except CallError as error:
            return Routing(None, code=error.code)
        return Routing(plan, offers, choice.recall_seconds > 0)

    def offers(self, call: Call, models: tuple[str, ...], recorded: tuple[Offer, ...]) -> tuple[Offer, ...]:
        """Every endpoint's terms for the call, as `Pool.offers` makes them."""
        if recorded:
            self._seen[call.model, len(recorded)] = recorded
        key = models, call.surface == "embeddings"
        stands = self._asked.get(key)
        if stands is None:
            stands = self._asked[key] = self._standing(*key)
        return tuple([self._offer(stand, call, recorded) for stand in stands])

    def _standing(self, models: tuple[str, ...], embeds: bool) -> list[_Stand]:
        found = [stand for model in models for stand in self._stands.get(model, ())]
        return [stand for stand in found if stand.embeds or not embeds]

    def _offer(self, stand: _Stand, call: Call, recorded: tuple[Offer, ...]) -> Offer:
        """The recorded one itself where these settings ask the same: what was offered is what they would offer."""
        terms = stand.terms
        found = offer_of(recorded, terms.endpoint, terms.model)
        if found is None:
            rest = stand.rest
            seen = self._lately(rest)
            return _offered(stand, call, seen, rest)
        if _asks_the_same(found, terms):
            return found
        return _offered(stand, call, found, found)

    def _lately(self, rest: Offer) -> Offer:
        """How fast the endpoint was when it was last seen: it was not asked for this call."""
        around = (offer_of(offers, rest.endpoint, rest.model) for offers in self._seen.values())
        return next((offer for offer in around if offer is not None), rest)

    def _workflow(self, call: Call) -> WorkflowSettings:
        return self._settings.workflow.get(call.who.workflow, _PLAIN)

    def _steered(self, recorded: Recorded) -> tuple[str, ...]:
        """The models that a gate or a route controller's recorded word leads to, by these settings."""
        if not recorded.controllers:
            return ()
        workflow = self._workflow(recorded.call)
        for said in recorded.controllers:
            if not said.followed or not allows(workflow, said.kind):
                continue
            if said.kind == "gate" and said.option == "escalate" and workflow.escalate_to:
                return (workflow.escalate_to,)
            if said.kind == "route":
                return workflow.routes.get(said.option, ())
        return ()


def offer_of(offers: tuple[Offer, ...], endpoint: str, model: str) -> Offer | None:
    """The one of an endpoint and model, if there is one."""
    for offer in offers:
        if offer.endpoint == endpoint and offer.model == model:
            return offer
    return None


def allows(workflow: WorkflowSettings, kind: str) -> bool:
    """Whether controllers of a kind may work for the workflow."""
    return workflow.controllers is None or kind in workflow.controllers


def _asks_the_same(recorded: Offer, terms: OfferTerms) -> bool:
    """A machine's worst case depends on time limits too, which no offer tells."""
    return (
        recorded.price == terms.price
        and recorded.quality == terms.quality
        and recorded.precision_bits == terms.precision_bits
        and recorded.context_tokens == terms.context_tokens
        and recorded.capabilities == terms.capabilities
        and not terms.price.gpu_second_nanodollars
    )


def _offered(stand: _Stand, call: Call, lately: Offer, busy: Offer) -> Offer:
    """At these settings' terms, as fast as `lately` and as busy as `busy`."""
    return stand.terms.offer(
        call,
        latency_seconds=lately.latency_seconds,
        first_token_seconds=lately.first_token_seconds,
        p95_seconds=lately.p95_seconds,
        in_flight=busy.in_flight,
        queued=busy.queued,
        concurrency=stand.rest.concurrency,
        available=busy.available,
    )


def _probe(surface: str) -> Call:
    who = Attribution("", "")
    return Call("", 0.0, surface, "", who, 0, 0)  # type: ignore[arg-type]
