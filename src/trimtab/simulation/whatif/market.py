"""What the endpoints of other settings would have offered for a recorded call, and what those settings choose.

Prices, qualities and capabilities come from the other settings; how busy and how fast an endpoint was comes from the
offer that was recorded with the call. Rules, policies and the offers' arithmetic are those that serve.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from trimtab.config import PriceTable, Settings, WorkflowSettings
from trimtab.core import Attribution, Call, Offer, Plan, Price, Rates, SystemClock
from trimtab.core.errors import CallError
from trimtab.dispatch import Router
from trimtab.pool import Pool
from trimtab.routing import Policy, sticky_unit
from trimtab.simulation.whatif.trail import Recorded

Place = tuple[str, str]
_PREDICTED_OUTPUT_TOKENS = 512
_MOST_UNITS = 8_192
_PLAIN = WorkflowSettings()


class Routing(msgspec.Struct, frozen=True, gc=False):
    """A plan with the offers it was made of; `code` of the refusal where there is none (`plan` is None then)."""

    plan: Plan | None
    offers: tuple[Offer, ...] = ()
    recalls: bool = False
    code: str = ""


class _Terms(msgspec.Struct, frozen=True, gc=False):
    """What does not change from call to call: an offer of the endpoint at rest."""

    rest: Offer
    total_seconds: float
    embeds: bool
    flat: Rates | None = None

    def worst(self, input_tokens: int, output_tokens: int, seconds: float) -> int:
        """`Price.worst_cost`; without the choice of a tier where there is but one, and nothing else."""
        if self.flat is not None:
            return self.flat.worst_cost(input_tokens, output_tokens)
        return self.rest.price.worst_cost(input_tokens, output_tokens, seconds)


class Market:
    """The endpoints of `settings`; `policies` are built of the same settings."""

    def __init__(self, settings: Settings, prices: PriceTable, policies: Mapping[str, Policy]) -> None:
        self._settings, self._policies = settings, policies
        pool = self._pool = Pool(settings, {}, prices, SystemClock())
        self._router = Router(settings, pool, policies)
        self._terms: dict[str, list[_Terms]] = {}
        for endpoint in settings.endpoint:
            for model in endpoint.models:
                self._terms.setdefault(model, [])
        for model, terms in self._terms.items():
            embedding = {offer.endpoint for offer in pool.offers(_probe("embeddings"), (model,))}
            for offer in pool.offers(_probe("chat"), (model,)):
                seconds = pool.endpoints[offer.endpoint].settings.timeouts.total
                terms.append(_Terms(offer, seconds, offer.endpoint in embedding, _flat(offer.price)))
        self._seen: dict[tuple[str, int], tuple[Offer, ...]] = {}
        self._unit = lru_cache(_MOST_UNITS)(sticky_unit)

    def price(self, endpoint: str, model: str) -> Price:
        """What the settings say a model costs there."""
        return self._pool.price(endpoint, model)

    def serves(self, endpoint: str, model: str) -> bool:
        """Whether the settings know the model there."""
        return any(terms.rest.endpoint == endpoint for terms in self._terms.get(model, ()))

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
        embeds = call.surface == "embeddings"
        return tuple(
            [
                self._offer(terms, call, recorded)
                for model in models
                for terms in self._terms.get(model, ())
                if terms.embeds or not embeds
            ]
        )

    def _offer(self, terms: _Terms, call: Call, recorded: tuple[Offer, ...]) -> Offer:
        """The recorded one itself where these settings ask the same: what was offered is what they would offer."""
        found = offer_of(recorded, terms.rest.endpoint, terms.rest.model)
        if found is None:
            return _made(terms, call, self._lately(terms.rest))
        return found if _asks_the_same(found, terms.rest) else _made(terms, call, found)

    def _lately(self, rest: Offer) -> Offer:
        """How fast the endpoint was when it was last seen, with nobody in it: it was not asked for this call."""
        around = (offer_of(offers, rest.endpoint, rest.model) for offers in self._seen.values())
        seen = next((offer for offer in around if offer is not None), None)
        if seen is None:
            return rest
        return msgspec.structs.replace(
            rest,
            latency_seconds=seen.latency_seconds,
            first_token_seconds=seen.first_token_seconds,
            p95_seconds=seen.p95_seconds,
        )

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


def _flat(price: Price) -> Rates | None:
    """The only rates of a price that is nothing but rates."""
    if len(price.tiers) != 1 or price.request_nanodollars or price.gpu_second_nanodollars:
        return None
    return None if price.tiers[0].above_input_tokens else price.tiers[0]


def _asks_the_same(recorded: Offer, rest: Offer) -> bool:
    """A machine's worst case depends on time limits too, which no offer tells."""
    return (
        recorded.price == rest.price
        and recorded.quality == rest.quality
        and recorded.precision_bits == rest.precision_bits
        and recorded.context_tokens == rest.context_tokens
        and recorded.capabilities == rest.capabilities
        and not rest.price.gpu_second_nanodollars
    )


def _made(terms: _Terms, call: Call, live: Offer) -> Offer:
    """An offer at these settings' terms, as busy and fast as `live`."""
    rest = terms.rest
    output = call.max_output_tokens * call.choices
    likely = min(output, _PREDICTED_OUTPUT_TOKENS)
    return Offer(
        rest.endpoint,
        rest.model,
        rest.price,
        terms.worst(call.likely_input_tokens, likely, 0.0),
        terms.worst(call.input_tokens, output, terms.total_seconds),
        rest.quality,
        rest.precision_bits,
        rest.context_tokens,
        rest.capabilities,
        live.latency_seconds,
        live.first_token_seconds,
        live.p95_seconds,
        live.in_flight,
        live.queued,
        rest.concurrency,
        live.available,
    )


def _probe(surface: str) -> Call:
    who = Attribution("", "")
    return Call("", 0.0, surface, "", who, 0, 0)  # type: ignore[arg-type]
