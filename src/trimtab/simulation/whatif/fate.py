"""What becomes of one recorded call under another plan: the attempts that were made in fact are known, all others are
guessed and called unseen.
"""

from typing import Literal

import msgspec

from trimtab.core import AttemptRecord, Offer, PlannedAttempt, Price
from trimtab.simulation.whatif.guess import Guess, guess, repriced
from trimtab.simulation.whatif.market import Market, Routing, offer_of
from trimtab.simulation.whatif.trail import Recorded

Outcome = Literal["kept", "alike", "unseen", "lost", "gained"]
"""Of the answer: the very one; one of the same model, no less precise; another's; none any more; one where none was."""

Place = tuple[str, str]
"""Endpoint and model; `("", reason)` where nobody answered."""


class Fate(msgspec.Struct, gc=False):
    """`nanodollars` is the part that is known, of attempts made in fact; `seconds` too. `guessed` is the unseen rest.

    `rest_likely` and `rest_high` are what follows where a verifier rejects the unseen reply. `held` is the worst case
    and the likely cost of each attempt.
    """

    place: Place
    status: str
    outcome: Outcome
    nanodollars: int = 0
    seconds: float = 0.0
    guessed: Guess | None = None
    rest_likely: int = 0
    rest_high: int = 0
    verified: bool = False
    exact: bool = True
    priced: bool = True
    held: list[tuple[int, int]] = []

    @property
    def likely(self) -> int:
        """With the same tokens as in fact; where a verifier may reject, as if it did not."""
        return self.nanodollars + (self.guessed.nanodollars if self.guessed is not None else 0)


def place_of(recorded: Recorded) -> Place:
    """Where the call was answered in fact."""
    row = recorded.row
    if row.answered_by == "model":
        return row.endpoint, row.model
    if row.answered_by == "none":
        return "", f"{row.status}: {row.code}" if row.code else row.status
    return "", row.answered_by


def as_recorded(recorded: Recorded) -> Fate:
    """Nothing changes, and nothing is paid for anew."""
    row = recorded.row
    return Fate(place_of(recorded), row.status, "kept", row.nanodollars, row.seconds)


def refused(recorded: Recorded, code: str, status: str = "refused") -> Fate:
    """Nobody is asked any more."""
    answered = recorded.row.status == "ok"
    return Fate(("", f"{status}: {code}"), status, "lost" if answered else "kept")


class Walk:
    """Goes through plans; `market` tells the other settings' prices."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def fate(self, recorded: Recorded, routing: Routing) -> Fate:
        """What the plan comes to, where nothing refused the call in fact."""
        plan, decision = routing.plan, recorded.decision
        if plan is None:
            return refused(recorded, routing.code, "failed")
        if decision is not None and decision.plan == plan:
            return self._again(recorded, routing)
        return self._anew(recorded, routing)

    def let_in(self, recorded: Recorded, routing: Routing) -> Fate:
        """What the plan comes to for a call that was refused in fact and is not refused now."""
        if routing.plan is None:
            return refused(recorded, routing.code, "failed")
        return self._anew(recorded, routing)

    def _again(self, recorded: Recorded, routing: Routing) -> Fate:
        """The same attempts, at other prices maybe."""
        decision, row = recorded.decision, recorded.row
        assert decision is not None
        fate = Fate(place_of(recorded), row.status, "kept", seconds=row.seconds)
        if decision.offers == routing.offers:
            fate.nanodollars = row.nanodollars
            fate.priced = is_priced(recorded)
            fate.held = [
                (_worst(routing, made.endpoint, made.model), made.nanodollars) for made in recorded.attempts
            ]
            return fate
        upstream = row.nanodollars
        for made in recorded.attempts:
            upstream -= made.nanodollars
            found = offer_of(decision.offers, made.endpoint, made.model)
            self._pay(fate, made, found.price if found is not None else None, routing)
        fate.nanodollars += max(0, upstream)
        return fate

    def _pay(self, fate: Fate, made: AttemptRecord, before: Price | None, routing: Routing) -> None:
        cost = repriced(made, before, self._market.price(made.endpoint, made.model))
        fate.nanodollars += cost.nanodollars
        fate.exact &= cost.exact
        fate.priced &= cost.priced
        fate.held.append((_worst(routing, made.endpoint, made.model), cost.nanodollars))

    def _anew(self, recorded: Recorded, routing: Routing) -> Fate:
        """Attempt by attempt, up to an answer that is known or one that is not."""
        assert routing.plan is not None
        decision, attempts = recorded.decision, routing.plan.attempts
        offers = decision.offers if decision is not None else ()
        fate = Fate(("", "failed: upstream_error"), "failed", "kept")
        made = _made(recorded)
        for index, planned in enumerate(attempts):
            tries = _tries(made, planned)
            if not tries or tries[-1].outcome == "lost_hedge":
                self._unseen(fate, recorded, routing, index)
                return fate
            for one in tries:
                found = offer_of(offers, one.endpoint, one.model)
                here = one if one.endpoint else msgspec.structs.replace(one, endpoint=planned.endpoint)
                self._pay(fate, here, found.price if found is not None else None, routing)
                fate.seconds += one.seconds
            ended = _end(fate, recorded, planned, tries[-1])
            if ended:
                return fate
        fate.outcome = "lost" if recorded.row.status == "ok" else "kept"
        return fate

    def _unseen(self, fate: Fate, recorded: Recorded, routing: Routing, index: int) -> None:
        """The attempt at `index` was never made: its answer is not known, nor whether there would be one."""
        assert routing.plan is not None
        attempts = routing.plan.attempts
        planned = attempts[index]
        offer = offer_of(routing.offers, planned.endpoint, planned.model)
        assert offer is not None
        fate.guessed = guess(recorded.call, recorded.usage, offer)
        fate.priced &= fate.guessed.priced
        fate.exact = False
        fate.place, fate.status = (planned.endpoint, planned.model), "ok"
        fate.held.append((offer.worst_nanodollars, fate.guessed.nanodollars))
        fate.verified = bool(planned.verifiers)
        if fate.verified:
            self._climb(fate, recorded, routing.offers, attempts[index + 1 :])
        fate.outcome = _likeness(recorded, planned, offer)

    def _climb(
        self,
        fate: Fate,
        recorded: Recorded,
        offers: tuple[Offer, ...],
        above: tuple[PlannedAttempt, ...],
    ) -> None:
        """What the rungs above cost where the unseen reply is rejected: the next one, and all of them."""
        for number, planned in enumerate(above):
            tries = _tries(_made(recorded), planned)
            offer = offer_of(offers, planned.endpoint, planned.model)
            assert offer is not None
            guessed = guess(recorded.call, recorded.usage, offer)
            known = sum(one.nanodollars for one in tries)
            fate.rest_high += known if tries else guessed.most
            if number == 0:
                fate.rest_likely = known if tries else guessed.nanodollars
            if not planned.verifiers:
                return


def _end(fate: Fate, recorded: Recorded, planned: PlannedAttempt, last: AttemptRecord) -> bool:
    """Whether the walk ends with an attempt that was made in fact."""
    place = planned.endpoint, planned.model
    if last.outcome == "answered":
        fate.place, fate.status = place, "ok"
        return True
    if last.outcome == "rejected" and not planned.verifiers:
        # What was rejected then is taken as it comes now: it is known, but not how the run goes on with it.
        fate.place, fate.status, fate.outcome = place, "ok", "unseen"
        return True
    if last.outcome == "cancelled":
        fate.place, fate.status = place_of(recorded), recorded.row.status
        return True
    return False


def _likeness(recorded: Recorded, planned: PlannedAttempt, offer: Offer) -> Outcome:
    row, decision = recorded.row, recorded.decision
    if row.status != "ok":
        return "gained"
    if row.model != planned.model or row.answered_by != "model" or planned.verifiers:
        return "unseen"
    for before in decision.offers if decision is not None else ():
        if (before.endpoint, before.model) == (row.endpoint, row.model):
            return "alike" if offer.precision_bits >= before.precision_bits else "unseen"
    return "alike"


def _made(recorded: Recorded) -> tuple[AttemptRecord, ...]:
    """The attempts; of an imported answer, the one that its row tells of."""
    row = recorded.row
    if recorded.attempts or row.answered_by != "model":
        return recorded.attempts
    return (
        AttemptRecord(
            row.id, row.endpoint, row.model, row.at, row.seconds, None, "answered",
            nanodollars=row.nanodollars, usage=recorded.usage,
        ),
    )  # fmt: skip


def _tries(made: tuple[AttemptRecord, ...], planned: PlannedAttempt) -> list[AttemptRecord]:
    """Those at a place. An imported answer without an endpoint was given at any that serves its model."""
    return [one for one in made if one.model == planned.model and one.endpoint in (planned.endpoint, "")]


def _worst(routing: Routing, endpoint: str, model: str) -> int:
    offer = offer_of(routing.offers, endpoint, model)
    return 0 if offer is None else offer.worst_nanodollars


def is_priced(recorded: Recorded) -> bool:
    """Whether the recorded cost is all of it: no answer at a price that nobody knew."""
    row = recorded.row
    if row.nanodollars or row.answered_by != "model":
        return True
    if recorded.decision is None:
        return False
    for made in recorded.attempts:
        for offer in recorded.decision.offers:
            if offer.endpoint == made.endpoint and offer.model == made.model and not offer.price.known:
                return not made.usage.total_tokens
    return True
