"""Whose call is served next: keys by which waiting calls are ordered, the least first. Pure.

Every key is fixed from the moment a call begins to wait: ageing is linear, so that `now` would move all keys alike.
A heap therefore stays in order, and `order` needs no clock but the arrivals it is given.
"""

from collections.abc import Callable, Iterable, Mapping

from trimtab.scheduling.demand import Demand

Key = Callable[[Demand, float], float]
"""Of a call and the seconds its prefill is predicted to take where it waits. Smaller goes first.

Ties: the run that began first, its id, then the call's turn.
"""

AGEING = 0.03
"""Seconds of remaining work that a second of waiting is worth in `combined`; `RUN_AGEING`: a second of its run."""
RUN_AGEING = 0.03
_OLD_SECONDS = 600.0
PREFILL_WEIGHT = 10.0
PATH_STRETCH = 10.0
_CAP_SECONDS = 120.0
_UNKNOWN_SLACK = 600.0


def fcfs(demand: Demand, prefill_seconds: float) -> float:
    """First come, first served."""
    return demand.arrived


def run_fcfs(demand: Demand, prefill_seconds: float) -> float:
    """The run that began first."""
    return demand.run.began


def plas(demand: Demand, prefill_seconds: float) -> float:
    """Least attained service of the run first: Autellix (Luo et al. 2025)."""
    return demand.run.attained_seconds / demand.run.weight


def srpt(demand: Demand, prefill_seconds: float) -> float:
    """Least predicted work left in the run first (shortest remaining processing time, on predictions)."""
    return demand.remaining_seconds / demand.run.weight


def least_slack(demand: Demand, prefill_seconds: float) -> float:
    """Least time to spare before the deadline. Runs without one have ten minutes from their beginning."""
    return _deadline(demand) - demand.remaining_seconds


def combined(demand: Demand, prefill_seconds: float) -> float:
    """The default: least remaining work first, what is cached before what is not, older runs sooner; with ageing.

    A prefill counts several times: it delays all that run beside it. Work counts at most `_CAP_SECONDS`, a run's age
    at most `_OLD_SECONDS`, and every second of waiting takes `AGEING` off; so a call is overtaken only by those that
    arrive within `overtaking_seconds` of it: nothing starves.
    """
    run = demand.run
    work = min((demand.remaining_seconds + PREFILL_WEIGHT * prefill_seconds) / run.weight, _CAP_SECONDS)
    age = min(max(0.0, demand.arrived - run.began), _OLD_SECONDS)
    return work - RUN_AGEING * age + AGEING * demand.arrived - run.priority


def critical_path(demand: Demand, prefill_seconds: float) -> float:
    """For runs whose graph is known: the step that would have had to begin first, by the longest path behind it.

    A run's short branches let its long one pass; between runs the older goes first. A second of service on the path
    counts for `PATH_STRETCH` of waiting: service is shared with others. Where no graph is known, as `run_fcfs`.
    """
    path = min(demand.path_seconds or 0.0, _CAP_SECONDS)
    return demand.run.began - PATH_STRETCH * path - demand.run.priority


def overtaking_seconds(least_priority: int = 0, most_priority: int = 0) -> float:
    """How much later than a waiting call another may arrive and still go first, under ageing."""
    most = _CAP_SECONDS + RUN_AGEING * _OLD_SECONDS + most_priority - least_priority
    return most / AGEING


def order(waiting: Iterable[tuple[Demand, float]], key: Key) -> list[Demand]:
    """The waiting calls (each with its predicted prefill), the next one first, whatever their order here."""
    return [demand for demand, _ in sorted(waiting, key=lambda each: place(each[0], each[1], key))]


def place(demand: Demand, prefill_seconds: float, key: Key) -> tuple[float, float, str, int]:
    """By what a call is ordered: its key, then what makes it unique."""
    return key(demand, prefill_seconds), demand.run.began, demand.run.id, demand.turn


def _deadline(demand: Demand) -> float:
    run = demand.run
    return run.deadline if run.deadline is not None else run.began + _UNKNOWN_SLACK


ORDERS: Mapping[str, Key] = {
    "fcfs": fcfs,
    "run_fcfs": run_fcfs,
    "plas": plas,
    "srpt": srpt,
    "least_slack": least_slack,
    "combined": combined,
    "critical_path": critical_path,
}
