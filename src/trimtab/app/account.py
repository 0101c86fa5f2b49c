"""What a demo or replay came to: the driver's measurements beside the ledger's sums."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from trimtab.app.stage import CONFIG_NAME
from trimtab.app.store import open_database
from trimtab.core import usd_text
from trimtab.simulation import Percentiles, TrafficReport
from trimtab.traces import CostRow, completion_report, cost_report


class AgentAccount(msgspec.Struct, frozen=True):
    """Runs of one agent (the model they named). `cost_usd` None: unknown, the record has no usage."""

    agent: str
    runs: int
    completed: int
    calls: int
    cost_usd: str | None
    cost_per_completed_usd: str | None
    estimated_usd: str


class Account(msgspec.Struct, frozen=True):
    """The whole account. Latencies in seconds, money as exact USD text."""

    title: str
    seconds: float
    runs: int
    completed: int
    calls: int
    calls_failed: int
    calls_refused_by_budget: int
    altered_replies: int
    endings: dict[str, int]
    call_seconds: Percentiles | None
    run_seconds: Percentiles | None
    first_token_seconds: Percentiles | None
    cost_usd: str
    cost_per_completed_usd: str | None
    agents: tuple[AgentAccount, ...]
    costs: dict[str, tuple[CostRow, ...]]


def account_of(title: str, report: TrafficReport, data: Path) -> Account:
    """The account of what stands in the store at `data`."""
    with open_database(data / CONFIG_NAME) as (settings, database):
        thresholds = {name: workflow.completed_at for name, workflow in settings.workflow.items()}
        total = completion_report(database, thresholds=thresholds)
        costs = {
            field: cost_report(database, by=(field,)).rows for field in ("workflow", "step", "tenant", "user")
        }
        agents = _agents(report, cost_report(database, by=("asked_model", "certainty")).rows)
    raise NotImplementedError


_ = (Sequence, usd_text, total) if False else None
