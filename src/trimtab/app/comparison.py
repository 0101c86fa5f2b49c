"""The demo's second half as figures: what was learned, and the same new tasks without and with it, run by run."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec

from trimtab.app.account import Account, per_completed
from trimtab.app.lesson import Lesson
from trimtab.app.stage import CONFIG_NAME
from trimtab.app.store import open_database
from trimtab.core import usd_text
from trimtab.simulation import Percentiles, RunMeasure, TrafficReport
from trimtab.store import Selection
from trimtab.traces import cost_report


class ArmAccount(msgspec.Struct, frozen=True):
    """One drive. `calls_of_controller` were answered without a model; `saved_usd_estimate` is the ledger's for them.

    Latencies are the client's, in seconds; money is exact USD text, the ledger's.
    """

    runs: int
    completed: int
    calls: int
    calls_of_model: int
    calls_of_controller: int
    calls_failed: int
    cost_usd: str
    cost_per_completed_usd: str | None
    saved_usd_estimate: str
    call_seconds: Percentiles | None
    controller_seconds: Percentiles | None
    run_seconds: Percentiles | None
    seconds: float


class Comparison(msgspec.Struct, frozen=True):
    """The same tasks without and with the controller. `only_*` completed in that arm alone. `saved_usd_measured` is
    the difference of the arms' cost. `latency` says how the expert's is simulated, in both alike."""

    before: ArmAccount
    after: ArmAccount
    users: int
    pairs: int
    only_before: int
    only_after: int
    saved_usd_measured: str
    latency: str


class SecondHalf(msgspec.Struct, frozen=True):
    """How far the second half came; `notice` says why no further."""

    lesson: Lesson | None = None
    comparison: Comparison | None = None
    notice: str = ""


class DemoAccount(Account, frozen=True):
    """The account of the whole demo."""

    second_half: SecondHalf = SecondHalf()


def arm_account(report: TrafficReport, data: Path, since: float) -> ArmAccount:
    """The account of a drive that began at `since` (epoch seconds). Raises ConfigError, StoreUnavailable."""
    with open_database(data / CONFIG_NAME) as (_, database):
        rows = cost_report(database, ("run",), Selection(since=since)).rows
    runs = {run.run for run in report.runs}
    mine = [row for row in rows if row.fields[0] in runs]
    nanodollars = sum(row.nanodollars for row in mine)
    answered = [call for call in report.calls if call.answered_by]
    return ArmAccount(
        runs=len(report.runs),
        completed=report.completed,
        calls=len(report.calls),
        calls_of_model=len(report.calls) - len(answered),
        calls_of_controller=len(answered),
        calls_failed=report.calls_failed,
        cost_usd=usd_text(nanodollars),
        cost_per_completed_usd=per_completed(nanodollars, report.completed),
        saved_usd_estimate=usd_text(sum(row.saved_nanodollars for row in mine)),
        call_seconds=report.call_seconds,
        controller_seconds=Percentiles.of(call.seconds for call in answered),
        run_seconds=report.run_seconds,
        seconds=report.seconds,
    )


def compare_arms(
    reports: tuple[TrafficReport, TrafficReport], accounts: tuple[ArmAccount, ArmAccount], latency: str
) -> Comparison:
    """Before and after, paired by task."""
    before, after = (_completed(report.runs) for report in reports)
    ways = Counter((before[task], after[task]) for task in before.keys() & after.keys())
    return Comparison(
        *accounts,
        users=len({run.user for run in reports[0].runs}),
        pairs=ways.total(),
        only_before=ways[True, False],
        only_after=ways[False, True],
        saved_usd_measured=str(Decimal(accounts[0].cost_usd) - Decimal(accounts[1].cost_usd)),
        latency=latency,
    )


def _completed(runs: tuple[RunMeasure, ...]) -> dict[str, bool]:
    """By the run's name without its arm's."""
    return {run.run.partition("-")[2]: run.reward == 1.0 for run in runs}
