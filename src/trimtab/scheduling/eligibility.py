"""Which endpoints may serve a call at all: floors of quality and precision, context, model, role, adapters. Pure.

A floor is never broken: where nobody meets it, nobody is eligible and the call waits or is refused.
"""

from collections.abc import Sequence

from trimtab.scheduling.demand import Demand
from trimtab.scheduling.standing import Standing, Terms

_MOST_KINDS = 1024
_Kind = tuple[float, int, str, str, str, frozenset[str], bool]


class Roll:
    """The endpoints of a pool, and who of them may serve what kind of call; filtered once for each kind.

    Its keeper calls `changed` when an endpoint comes, goes, is up or is down.
    """

    __slots__ = ("_kinds", "standings")

    def __init__(self, standings: Sequence[Standing] = ()) -> None:
        self.standings = list(standings)
        self._kinds: dict[_Kind, tuple[list[Standing], int]] = {}

    def changed(self) -> None:
        """Filter anew from here on."""
        self._kinds.clear()

    def eligible(self, demand: Demand) -> list[Standing]:
        """Our own endpoints that are up and meet every floor, those made for the call's role if there are any."""
        return self._found(demand, external=False)

    def external(self, demand: Demand) -> list[Standing]:
        """Others' APIs that are up and meet every floor."""
        return self._found(demand, external=True)

    def _found(self, demand: Demand, *, external: bool) -> list[Standing]:
        kind = (
            demand.quality_floor,
            demand.precision_floor,
            demand.model,
            demand.adapter,
            demand.role,
            demand.among,
            external,
        )
        known = self._kinds.get(kind)
        if known is None:
            known = self._filter(kind, demand, external=external)
        found, shortest = known
        tokens = demand.input_tokens + demand.output_tokens
        if tokens <= shortest:
            return found
        return [one for one in found if tokens <= one.terms.context_tokens]

    def _filter(self, kind: _Kind, demand: Demand, *, external: bool) -> tuple[list[Standing], int]:
        found = [
            one
            for one in self.standings
            if one.available and one.terms.external == external and meets(demand, one)
        ]
        if demand.role != "any":
            found = [one for one in found if one.terms.profile == demand.role] or found
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        known = (found, min((one.terms.context_tokens for one in found), default=0))
        self._kinds[kind] = known
        return known


def meets(demand: Demand, standing: Standing) -> bool:
    """Whether the endpoint's terms meet every floor of the call; its context is looked at apart."""
    terms = standing.terms
    return (
        keeps_floors(terms, demand.quality_floor, demand.precision_floor)
        and (not demand.model or not terms.models or demand.model in terms.models)
        and (not demand.adapter or terms.adapters)
        and (not demand.among or terms.name in demand.among)
    )


def keeps_floors(terms: Terms, quality: float, precision_bits: int) -> bool:
    """Whether an endpoint is at least as good and as precise."""
    return terms.quality >= quality and terms.precision_bits >= precision_bits
