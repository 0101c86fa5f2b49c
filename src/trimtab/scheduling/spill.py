"""When a call may go to a dearer API of somebody else: only where its run may pay for it, and would else be late.

Opt-in: a run without `spill_nanodollars` never spills. The cap holds in the worst case: what a call may cost at most
is set aside before it is sent, and the rest given back after.
"""

from collections.abc import Mapping, Sequence

from trimtab.scheduling.demand import Demand
from trimtab.scheduling.standing import Standing, Terms

_MILLION = 1_000_000
_AT_LEAST_FASTER = 2.0
SERVICE_STRETCH = 8.0
"""Seconds on the wall that a predicted second of shared service takes on a busy pool."""


def worst_nanodollars(demand: Demand, terms: Terms) -> int:
    """The most a call can cost there: nothing cached, all the output it may have. Rounded up."""
    total = demand.input_tokens * terms.input_price + demand.most_output_tokens * terms.output_price
    return -(-total // _MILLION)


def spill(
    demand: Demand, local: Standing | None, externals: Sequence[Standing], hits: Mapping[int, int], now: float
) -> Standing | None:
    """The external endpoint to send the call to, None where it is to stay.

    It goes where its run would miss its deadline here (or nobody here may serve it), the API is at least twice as
    fast, and the worst case still fits under the run's cap; to the cheapest of those, then by name.
    """
    run = demand.run
    left = run.spill_nanodollars - run.spilled_nanodollars
    if left <= 0:
        return None
    here = local.seconds_of(demand, hits.get(local.index, 0)) if local is not None else float("inf")
    after = SERVICE_STRETCH * demand.remaining_seconds
    if run.deadline is None or run.deadline - now - here - after >= 0:
        return None
    able = [
        (worst, one.name, one)
        for one in externals
        if (worst := worst_nanodollars(demand, one.terms)) <= left
        and _AT_LEAST_FASTER * one.seconds_of(demand, 0) <= here
    ]
    return min(able, key=_cheapest)[2] if able else None


def _cheapest(option: tuple[int, str, Standing]) -> tuple[int, str]:
    return option[0], option[1]
