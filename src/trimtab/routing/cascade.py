"""The policy `cascade`: the cheapest model first, a dearer one only where a verifier rejects the reply.

Source of the idea: FrugalGPT (Chen, Zaharia, Zou 2023), with a step of precision before the step of size.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from trimtab.core import Call, Offer, Plan, PlannedAttempt, Verifier, VerifierKind
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, cost_key


class VerifierOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verifier as settings write it. `value`: the logprob floor, or `module:function`."""

    kind: VerifierKind
    value: str | float = ""

    def __post_init__(self) -> None:
        if self.kind == "logprob" and not _is_number(self.value):
            raise ValueError("Expected `value` to be the lowest mean logprob, such as -0.5")
        if self.kind == "python" and ":" not in str(self.value):
            raise ValueError("Expected `value` to be `module:function`")


class Cascade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`verifiers` check every reply but those of the last rung, which are taken as they come."""

    verifiers: Annotated[tuple[VerifierOptions, ...], msgspec.Meta(min_length=1)]
    max_attempts: AttemptLimit = 4

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The rungs of the ladder, then, for failures of the last rung, other endpoints of its model.

        Other endpoints of a lower rung's model are left out: a rejected reply would only be asked for again.
        Unavailable offers come last; they make up the ladder only where nothing else can serve.
        """
        able = sorted(eligible(call, offers), key=cost_key)
        live = [offer for offer in able if offer.available]
        steps = ladder(live or able, self.max_attempts)
        planned = self._rungs(steps)
        known = {(attempt.endpoint, attempt.model) for attempt in planned}
        for offer, reason in _fallbacks(steps[-1][0], live, able):
            if len(planned) == self.max_attempts:
                break
            if (offer.endpoint, offer.model) not in known:
                known.add((offer.endpoint, offer.model))
                planned.append(PlannedAttempt(offer.endpoint, offer.model, (), reason))
        return Plan(tuple(planned))

    def _rungs(self, steps: list[tuple[Offer, str]]) -> list[PlannedAttempt]:
        checks = tuple(Verifier(each.kind, str(each.value)) for each in self.verifiers)
        last = len(steps) - 1
        return [
            PlannedAttempt(offer.endpoint, offer.model, checks if index < last else (), reason)
            for index, (offer, reason) in enumerate(steps)
        ]


def ladder(offers: list[Offer], limit: int) -> list[tuple[Offer, str]]:
    """At most `limit` rungs with their reasons, cheapest first; `offers` are sorted by cost and not empty.

    The next rung is the same model at the next higher precision where there is one; else the cheapest model
    of higher quality; else the cheapest of equal quality that is dearer. No model is climbed twice.
    """
    rung = offers[0]
    steps = [(rung, "cheapest")]
    climbed = {rung.model}
    while len(steps) < limit:
        finer = _finer(rung, offers)
        rung_above = finer or _larger(rung, offers, climbed)
        if rung_above is None:
            break
        rung = rung_above
        climbed.add(rung.model)
        steps.append((rung, f"higher precision, {rung.precision_bits} bits" if finer else "larger model"))
    return steps


def _finer(rung: Offer, offers: list[Offer]) -> Offer | None:
    same = [each for each in offers if each.model == rung.model and each.precision_bits > rung.precision_bits]
    return min(same, key=lambda each: each.precision_bits, default=None)


def _larger(rung: Offer, offers: list[Offer], climbed: set[str]) -> Offer | None:
    others = [each for each in offers if each.model not in climbed and each.quality >= rung.quality]
    better = next((each for each in others if each.quality > rung.quality), None)
    return better or next((each for each in others if cost_key(each)[:2] > cost_key(rung)[:2]), None)


def _fallbacks(top: Offer, live: list[Offer], able: list[Offer]) -> Iterable[tuple[Offer, str]]:
    for offer in live:
        if offer.model == top.model and offer.precision_bits >= top.precision_bits:
            yield offer, "same model, other endpoint"
    for offer in sorted(able, key=lambda each: -each.quality):
        if not offer.available:
            yield offer, "fallback, unavailable"


def _is_number(value: str | float) -> bool:
    try:
        return float(value) == float(value)
    except ValueError:
        return False
