"""What a routing policy is: a pure function from one call and its offers to a plan.

Called by `dispatch` live, and by the simulator and the what-if replay with the very same code. Time, ids and
randomness come in as arguments; nothing here looks at a clock or a network.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, Protocol

import msgspec

from trimtab.core import Call, Offer, Plan, PlannedAttempt

Functions = Mapping[str, Callable[..., object]]
"""Callables named in settings as `module:function`, loaded by the caller."""

AttemptLimit = Annotated[int, msgspec.Meta(ge=1, le=32)]

_UNIT_STEPS = 1 << 53


class Policy(Protocol):
    """Chooses the attempts for one call."""

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The plan, best attempt first. `unit` in [0, 1) is the only randomness, see `sticky_unit`.

        Raises `BadRequest` (code `no_capable_endpoint`) where no offer can serve the call.
        """
        ...


def sticky_unit(run: str, salt: str) -> float:
    """A number in [0, 1) that is the same for every call of one run under one policy name (`salt`).

    Evenly spread over runs, and independent between salts, so that two experiments do not share their halves.
    """
    text = f"{len(salt)}:{salt}:{run}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / _UNIT_STEPS


def cost_key(offer: Offer) -> tuple[bool, int, float, str, str]:
    """Sorts by predicted cost, then latency, then name. An unknown price is not free: it comes last."""
    return (
        not offer.price.known,
        offer.predicted_nanodollars,
        offer.latency_seconds,
        offer.model,
        offer.endpoint,
    )


def available_first(offers: Iterable[Offer]) -> list[Offer]:
    """The offers in their order, those of endpoints with an open breaker moved to the end."""
    ready: list[Offer] = []
    waiting: list[Offer] = []
    for offer in offers:
        (ready if offer.available else waiting).append(offer)
    return ready + waiting if waiting else ready


def plan_in_order(ranked: Iterable[Offer], lead: str, max_attempts: int, hedge: bool) -> Plan:
    """A plan that tries `ranked` offers in order, each (endpoint, model) once, available ones first.

    `lead` is the reason given for the highest ranked offer. Hedged only where a second attempt is available.
    """
    listed = list(ranked)
    attempts: dict[tuple[str, str], PlannedAttempt] = {}
    available = 0
    for offer in available_first(listed):
        place = (offer.endpoint, offer.model)
        if place in attempts:
            continue
        attempts[place] = _attempt(offer, lead if offer is listed[0] else "fallback")
        available += offer.available
        if len(attempts) == max_attempts:
            break
    return Plan(tuple(attempts.values()), hedge and available > 1)


def _attempt(offer: Offer, reason: str) -> PlannedAttempt:
    said = reason if offer.available else f"{reason}, unavailable"
    return PlannedAttempt(offer.endpoint, offer.model, (), said)
