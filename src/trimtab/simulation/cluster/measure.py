"""What one simulated run of a cluster came to, and medians with intervals over its seeds."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trimtab.simulation.cluster.sessions import RunRecord


class Measure(msgspec.Struct, frozen=True):
    """One seed. Seconds are of runs that began in the measured window, their tool time taken off; `slo` is the share
    that ended in time, tool time in it; `dollars` of machines and APIs in the window.
    """

    seed: int
    runs: int
    calls: int
    mean_seconds: float
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    slo: float
    dollars: float
    dollars_per_1000_in_slo: float | None
    cache_hits: float
    utilisation: float
    spilled_calls: int = 0
    failures: int = 0
    retried: int = 0
    refused: int = 0
    most_servers: int = 0


class Spread(msgspec.Struct, frozen=True):
    """A median over seeds, and an interval that holds the true one 9 times in 10 where there are 5 seeds or more."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """By order statistics, without assuming a distribution: the narrowest with at least 90 % coverage, else the range.

    Source: the binomial interval of a median (Conover 1999, 3.2).
    """
    ordered = sorted(values)
    count, drop, tail = len(ordered), 0, 0.5 ** len(ordered)
    below = tail
    while drop + 1 < count // 2:
        below_next = below + tail * _choose(count, drop + 1)
        if 1.0 - 2.0 * below_next < 0.9:
            break
        below, drop = below_next, drop + 1
    return Spread(statistics.median(ordered), ordered[drop], ordered[count - 1 - drop])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of a sorted sequence lies below (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def run_seconds(records: Iterable[RunRecord], begin: float, end: float) -> tuple[list[float], float]:
    """Sorted seconds without tool time of runs that began in the window, and the share that was in time."""
    chosen = [one for one in records if begin <= one.began < end]
    inside = sum(one.seconds <= one.slo_seconds for one in chosen)
    return sorted(one.seconds - one.gap_seconds for one in chosen), inside / max(1, len(chosen))


def summary(measures: Sequence[Measure]) -> Mapping[str, Spread | None]:
    """Of every figure of the seeds; None where a seed has none."""
    found: dict[str, Spread | None] = {}
    for name in Measure.__struct_fields__[1:]:
        values = [getattr(one, name) for one in measures]
        found[name] = None if any(value is None for value in values) else spread(values)
    return found


def _choose(count: int, taken: int) -> int:
    result = 1
    for each in range(taken):
        result = result * (count - each) // (each + 1)
    return result
