"""What a demo or replay came to: the driver's measurements beside the ledger's sums."""

from collections import Counter
from pathlib import Path

import msgspec

from trimtab.app.stage import CONFIG_NAME
from trimtab.app.store import open_database
from trimtab.core import usd_text
from trimtab.simulation import CallMeasure, Percentiles, RunMeasure, TrafficReport
from trimtab.store import Database, Selection
from trimtab.traces import CostField, cost_report

_FIELDS: tuple[CostField, ...] = ("workflow", "step", "tenant", "user", "model")


class AgentAccount(msgspec.Struct, frozen=True):
    """Runs of one agent (the model its calls named). `cost_usd` None: unknown, for want of usage or price;
    `ledger_usd` is then what the ledger estimated."""

    agent: str
    runs: int
    completed: int
    calls: int
    cost_usd: str | None
    cost_per_completed_usd: str | None
    ledger_usd: str
    calls_without_usage: int


class CostLine(msgspec.Struct, frozen=True):
    """The ledger's sum for one value of a field."""

    value: str
    calls: int
    runs: int
    input_tokens: int
    output_tokens: int
    cost_usd: str


class Account(msgspec.Struct, frozen=True):
    """The whole account. Latencies in seconds, money as exact USD text."""

    title: str
    seconds: float
    runs: int
    completed: int
    endings: dict[str, int]
    calls: int
    calls_failed: int
    calls_refused_by_budget: int
    altered_replies: int
    call_seconds: Percentiles | None
    run_seconds: Percentiles | None
    first_token_seconds: Percentiles | None
    cost_usd: str
    cost_per_completed_usd: str | None
    agents: tuple[AgentAccount, ...]
    costs: dict[CostField, tuple[CostLine, ...]]
    refusals: dict[str, int]
    faults: dict[str, int]


def account_of(title: str, report: TrafficReport, data: Path) -> Account:
    """The account of a drive whose store stands at `data`. Raises ConfigError, StoreUnavailable."""
    with open_database(data / CONFIG_NAME) as (_, database):
        total = cost_report(database, (), Selection()).total.nanodollars
        costs = {field: _cost_lines(database, field) for field in _FIELDS}
        agents = _agents(database, report)
    refused = Counter(run.tenant for run in report.runs if run.ending == "refused")
    faults = Counter(call.fault[:160] for call in report.calls if call.fault and call.status != 402)
    return Account(
        title=title,
        seconds=report.seconds,
        runs=len(report.runs),
        completed=report.completed,
        endings={str(ending): count for ending, count in report.endings.items()},
        calls=len(report.calls),
        calls_failed=report.calls_failed,
        calls_refused_by_budget=report.calls_refused_by_budget,
        altered_replies=report.altered_replies,
        call_seconds=report.call_seconds,
        run_seconds=report.run_seconds,
        first_token_seconds=report.first_token_seconds,
        cost_usd=usd_text(total),
        cost_per_completed_usd=_per_completed(total, report.completed),
        agents=agents,
        costs=costs,
        refusals=dict(refused),
        faults=dict(faults.most_common(5)),
    )


def _cost_lines(database: Database, field: CostField) -> tuple[CostLine, ...]:
    rows = cost_report(database, (field,), Selection()).rows
    return tuple(
        CostLine(
            row.fields[0], row.calls, row.runs, row.input_tokens, row.output_tokens, usd_text(row.nanodollars)
        )
        for row in rows
    )


def _agents(database: Database, report: TrafficReport) -> tuple[AgentAccount, ...]:
    """By the model that a run's calls named; its cost is that of all calls of its runs, whoever answered."""
    agent_of = {call.run: call.model for call in report.calls}
    spent: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    for row in cost_report(database, ("run",), Selection()).rows:
        agent = agent_of.get(row.fields[0], "")
        spent[agent] += row.nanodollars
        unpriced[agent] += row.unpriced
    calls: dict[str, list[CallMeasure]] = {}
    for call in report.calls:
        calls.setdefault(call.model, []).append(call)
    runs: dict[str, list[RunMeasure]] = {}
    for run in report.runs:
        runs.setdefault(agent_of.get(run.run, ""), []).append(run)
    return tuple(
        _agent(agent, runs[agent], calls.get(agent, []), spent[agent], unpriced[agent])
        for agent in sorted(runs)
    )


def _agent(
    agent: str, runs: list[RunMeasure], calls: list[CallMeasure], spent: int, unpriced: int
) -> AgentAccount:
    without = sum(call.usage is None and not call.fault for call in calls)
    known = not without and not unpriced
    completed = sum(run.reward == 1.0 for run in runs)
    return AgentAccount(
        agent=agent,
        runs=len(runs),
        completed=completed,
        calls=len(calls),
        cost_usd=usd_text(spent) if known else None,
        cost_per_completed_usd=_per_completed(spent, completed) if known else None,
        ledger_usd=usd_text(spent),
        calls_without_usage=without,
    )


def _per_completed(nanodollars: int, completed: int) -> str | None:
    return usd_text(-(-nanodollars // completed)) if completed else None
