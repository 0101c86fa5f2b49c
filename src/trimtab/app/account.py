"""What a demo or replay came to: the driver's measurements beside the ledger's sums."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trimtab.app.stage import CONFIG_NAME
from trimtab.app.store import open_database
from trimtab.core import usd_text
from trimtab.simulation import CallMeasure, Percentiles, RunMeasure, TrafficReport
from trimtab.store import CostSums, Database, Selection
from trimtab.traces import CostField, cost_report

_FIELDS: tuple[CostField, ...] = ("workflow", "step", "tenant", "user", "model")


CostUnknown = Literal["", "no price", "no usage"]


class AgentAccount(msgspec.Struct, frozen=True):
    """Runs of one agent. `cost_usd` None: unknown, and `cost_unknown` says for want of what; `ledger_usd` is
    then what the ledger knew or estimated. `unknown` runs have no outcome."""

    agent: str
    runs: int
    completed: int
    unknown: int
    calls: int
    cost_usd: str | None
    cost_unknown: CostUnknown
    cost_per_completed_usd: str | None
    ledger_usd: str
    calls_without_usage: int
    calls_without_price: int


class CostLine(msgspec.Struct, frozen=True):
    """The ledger's sum for one value of a field."""

    value: str
    calls: int
    runs: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    calls_without_price: int = 0


class Account(msgspec.Struct, frozen=True):
    """The whole account. Latencies in seconds, money as exact USD text. `unknown` runs have no outcome: they
    are no part of `cost_per_completed_usd`. `calls_without_price` are missing from every sum."""

    title: str
    seconds: float
    runs: int
    completed: int
    unknown: int
    endings: dict[str, int]
    calls: int
    calls_failed: int
    calls_refused_by_budget: int
    altered_replies: int
    call_seconds: Percentiles | None
    run_seconds: Percentiles | None
    first_token_seconds: Percentiles | None
    calls_without_price: int
    cost_usd: str
    cost_per_completed_usd: str | None
    agents: tuple[AgentAccount, ...]
    costs: dict[CostField, tuple[CostLine, ...]]
    refusals: dict[str, int]
    faults: dict[str, int]
    notices: tuple[str, ...] = ()


class _Spent(msgspec.Struct, frozen=True):
    """What runs cost; `on_known` is the part of those with an outcome."""

    nanodollars: int
    on_known: int
    unpriced: int


def account_of(title: str, report: TrafficReport, data: Path, notices: tuple[str, ...] = ()) -> Account:
    """The account of a drive whose store stands at `data`. Raises ConfigError, StoreUnavailable."""
    with open_database(data / CONFIG_NAME) as (_, database):
        by_run = _by_run(database)
        costs = {field: _cost_lines(database, field) for field in _FIELDS}
    total = _spent(by_run.values(), report.runs, by_run)
    agents = _agents(by_run, report)
    refused = Counter(run.tenant for run in report.runs if run.ending == "refused")
    faults = Counter(call.fault[:160] for call in report.calls if call.fault and call.status != 402)
    return Account(
        title=title,
        seconds=report.seconds,
        runs=len(report.runs),
        completed=report.completed,
        unknown=report.unknown,
        endings={str(ending): count for ending, count in report.endings.items()},
        calls=len(report.calls),
        calls_failed=report.calls_failed,
        calls_refused_by_budget=report.calls_refused_by_budget,
        altered_replies=report.altered_replies,
        call_seconds=report.call_seconds,
        run_seconds=report.run_seconds,
        first_token_seconds=report.first_token_seconds,
        calls_without_price=total.unpriced,
        cost_usd=usd_text(total.nanodollars),
        cost_per_completed_usd=None if total.unpriced else per_completed(total.on_known, report.completed),
        agents=agents,
        costs=costs,
        refusals=dict(refused),
        faults=dict(faults.most_common(5)),
        notices=notices,
    )


def _cost_lines(database: Database, field: CostField) -> tuple[CostLine, ...]:
    rows = cost_report(database, (field,), Selection()).rows
    return tuple(
        CostLine(
            row.fields[0],
            row.calls,
            row.runs,
            row.input_tokens,
            row.output_tokens,
            usd_text(row.nanodollars),
            row.unpriced,
        )
        for row in rows
    )


def _by_run(database: Database) -> dict[str, CostSums]:
    return {row.fields[0]: row for row in cost_report(database, ("run",), Selection()).rows}


def _spent(sums: Iterable[CostSums], runs: Iterable[RunMeasure], by_run: Mapping[str, CostSums]) -> _Spent:
    """What `sums` come to, and how much of it `runs` with an outcome cost."""
    sums = list(sums)
    known = [by_run[run.run].nanodollars for run in runs if run.reward is not None and run.run in by_run]
    return _Spent(sum(each.nanodollars for each in sums), sum(known), sum(each.unpriced for each in sums))


def _agents(by_run: Mapping[str, CostSums], report: TrafficReport) -> tuple[AgentAccount, ...]:
    """By the runs' agent; its cost is that of all calls of its runs, whoever answered."""
    calls: dict[str, list[CallMeasure]] = {}
    for call in report.calls:
        calls.setdefault(call.run, []).append(call)
    runs: dict[str, list[RunMeasure]] = {}
    for run in report.runs:
        runs.setdefault(run.agent, []).append(run)
    accounts = []
    for agent, driven in sorted(runs.items()):
        made = [call for run in driven for call in calls.get(run.run, ())]
        sums = [by_run[run.run] for run in driven if run.run in by_run]
        accounts.append(_agent(agent, driven, made, _spent(sums, driven, by_run)))
    return tuple(accounts)


def _agent(agent: str, runs: list[RunMeasure], calls: list[CallMeasure], spent: _Spent) -> AgentAccount:
    without = sum(call.usage is None and not call.fault for call in calls)
    lacking: CostUnknown = "no price" if spent.unpriced else "no usage" if without else ""
    completed = sum(run.reward == 1.0 for run in runs)
    return AgentAccount(
        agent=agent,
        runs=len(runs),
        completed=completed,
        unknown=sum(run.reward is None for run in runs),
        calls=len(calls),
        cost_usd=None if lacking else usd_text(spent.nanodollars),
        cost_unknown=lacking,
        cost_per_completed_usd=None if lacking else per_completed(spent.on_known, completed),
        ledger_usd=usd_text(spent.nanodollars),
        calls_without_usage=without,
        calls_without_price=spent.unpriced,
    )


def per_completed(nanodollars: int, completed: int) -> str | None:
    """USD text, rounded up to a nanodollar; None where nothing was completed."""
    return usd_text(-(-nanodollars // completed)) if completed else None
