"""What deciding costs: one choice among many endpoints, and a million simulated requests; CPU time of one core."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping

from bench.scheduling_cases import DATA, FULL
from trimtab.scheduling import Chooser, Demand, PrefixBook, Roll, RunStanding, Speed, Standing, Terms
from trimtab.simulation.cluster import Cluster, WorkloadSettings, allowed_seconds, read_sessions, simulate

SPEED = Speed(0.0148, 1 / 18_000, 1.3e-5, 3.5e-8, 2e-9)
# Of the service agents: a session makes about 18.5 calls.
_CALLS_A_SESSION = 18.5
_RATE = 5.0


def decision_rows(
    choosers: Mapping[str, Callable[[], Chooser]], endpoints: int, decisions: int
) -> Iterator[dict[str, object]]:
    """For each chooser, microseconds of one whole decision: who may, what is cached, who is chosen."""
    roll, book = _pool(endpoints)
    for name, make in choosers.items():
        chooser, rng, took = make(), random.Random(3), []
        for turn in range(decisions):
            demand = _demand(turn, rng)
            began = time.perf_counter_ns()
            chooser.choose(demand, roll.eligible(demand), book.hits(demand.marks))
            took.append((time.perf_counter_ns() - began) / 1e3)
        took.sort()
        yield {"name": name, "p50_us": took[len(took) // 2], "p99_us": took[int(0.99 * len(took))]}


def million(policy: str, calls: int) -> tuple[int, float]:
    """Requests simulated, and the CPU seconds they took, plans and all."""
    plans = read_sessions(DATA / "service.jsonl.gz")
    cluster = Cluster((FULL,), workload=WorkloadSettings(seconds=calls / (_RATE * _CALLS_A_SESSION)))
    slos = allowed_seconds(plans, cluster)
    began = time.process_time()
    measure = simulate(cluster, plans, slos, policy, _RATE, 0)
    return measure.calls, time.process_time() - began


def _pool(endpoints: int) -> tuple[Roll, PrefixBook]:
    rng = random.Random(1)
    book = PrefixBook([400_000] * endpoints)
    standings = [Standing(index, Terms(f"e{index:03}", SPEED)) for index in range(endpoints)]
    for one in standings:
        for call in range(rng.randrange(20)):
            one.sent(500, 6_000, 0.1)
            if call:
                one.started(500, 6_000, 0.1)
        book.put(one.index, (("system", 3_000), (one.index, 8_000)))
    return Roll(standings), book


def _demand(turn: int, rng: random.Random) -> Demand:
    run = RunStanding(str(turn), "bench", 0.0)
    marks = (("system", 3_000), (rng.randrange(64), 5_000))
    return Demand(run, "step", turn, 0.0, 6_000, 100.0, 5.0, marks)
