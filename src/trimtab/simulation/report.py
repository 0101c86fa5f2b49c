"""What the driver measured, call by call and run by run, and what it adds up to; pure values, no I/O.

Costs are not here: they come from the gateway's ledger.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, Self

import msgspec

from trimtab.core import Usage

Ending = Literal["done", "refused", "failed", "cancelled"]


class CallMeasure(msgspec.Struct, frozen=True):
    """One call as its client saw it. `status` 0: no answer came. `seconds` leaves out waits after 429s.

    `answered_by` is what the gateway names where no model answered.
    """

    run: str
    step: str
    index: int
    model: str
    stream: bool
    status: int
    seconds: float
    first_token_seconds: float | None
    waited_seconds: float
    throttled: int
    usage: Usage | None
    call: str | None
    cost_nanodollars: int | None
    fault: str = ""
    answered_by: str = ""


class RunMeasure(msgspec.Struct, frozen=True):
    """One run. `outcome_status` is what the gateway said to its outcome; None where none was posted.

    `agent` is the one its identity names, else the model its calls named.
    """

    run: str
    workflow: str
    tenant: str
    user: str
    calls: int
    seconds: float
    ending: Ending
    reward: float | None
    reason: str
    altered_replies: int
    outcome_status: int | None
    agent: str = ""


class Percentiles(msgspec.Struct, frozen=True):
    """Seconds, by nearest rank."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self | None:
        """None where nothing was measured."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        count = len(ordered)
        p50, p95, p99 = (ordered[-(-count * part // 100) - 1] for part in (50, 95, 99))
        return cls(count, p50, p95, p99)


class TrafficReport(msgspec.Struct, frozen=True):
    """All runs of a drive. `completed`: reward 1; `unknown`: none; `altered_replies`: unlike the record."""

    seconds: float
    runs: tuple[RunMeasure, ...]
    calls: tuple[CallMeasure, ...]
    endings: dict[Ending, int]
    completed: int
    unknown: int
    calls_refused_by_budget: int
    calls_throttled: int
    calls_failed: int
    calls_without_usage: int
    altered_replies: int
    outcomes_posted: int
    outcomes_rejected: int
    call_seconds: Percentiles | None
    run_seconds: Percentiles | None
    first_token_seconds: Percentiles | None


def summarise(runs: list[RunMeasure], calls: list[CallMeasure], seconds: float) -> TrafficReport:
    """Adds up what was measured; latencies are those of calls answered with 200 and runs done."""
    good = [call for call in calls if not call.fault]
    first = (call.first_token_seconds for call in good if call.first_token_seconds is not None)
    posted = [run.outcome_status for run in runs if run.outcome_status is not None]
    accepted = sum(200 <= status < 300 for status in posted)
    return TrafficReport(
        seconds=seconds,
        runs=tuple(runs),
        calls=tuple(calls),
        endings=dict(Counter(run.ending for run in runs)),
        completed=sum(run.reward == 1.0 for run in runs),
        unknown=sum(run.reward is None for run in runs),
        calls_refused_by_budget=sum(call.status == 402 for call in calls),
        calls_throttled=sum(call.throttled for call in calls),
        calls_failed=sum(call.status != 402 and bool(call.fault) for call in calls),
        calls_without_usage=sum(call.usage is None for call in good),
        altered_replies=sum(run.altered_replies for run in runs),
        outcomes_posted=accepted,
        outcomes_rejected=len(posted) - accepted,
        call_seconds=Percentiles.of(call.seconds for call in good),
        run_seconds=Percentiles.of(run.seconds for run in runs if run.ending == "done"),
        first_token_seconds=Percentiles.of(first),
    )
