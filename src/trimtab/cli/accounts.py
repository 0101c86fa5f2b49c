"""Prints what a demo or replay came to."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.app.account import Account
    from trimtab.simulation import Percentiles
    from trimtab.traces import CostField

_MOST_LINES = 12


def print_account(account: "Account", *, json: bool) -> None:
    """As tables, or as one JSON object."""
    import msgspec

    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(account)).decode())
        return
    from rich.console import Console

    console = Console()
    console.print(f"\n[bold]{account.title}[/bold]")
    _print_summary(account, console)
    _print_latencies(account, console)
    _print_agents(account, console)
    for field in account.costs:
        _print_costs(account, field, console)
    for fault, count in account.faults.items():
        console.print(f"[red]{count} x {fault}[/red]", highlight=False)


def _print_summary(account: "Account", console: "Console") -> None:
    endings = ", ".join(f"{count} {ending}" for ending, count in sorted(account.endings.items()))
    refusals = ", ".join(f"{count} of {tenant}" for tenant, count in sorted(account.refusals.items()))
    lines = [
        ("runs", f"{account.runs} in {account.seconds:.1f} s ({endings})"),
        ("completed", f"{account.completed}"),
        ("calls", f"{account.calls} ({account.calls_failed} failed)"),
        ("cost", f"${account.cost_usd}"),
        ("cost per completed run", f"${account.cost_per_completed_usd or 'unknown: none completed'}"),
        ("refused by budgets", f"{account.calls_refused_by_budget} calls; runs ended: {refusals or 'none'}"),
    ]
    for name, text in lines:
        console.print(f"{name:>24}  {text}", highlight=False)


def _print_latencies(account: "Account", console: "Console") -> None:
    from rich.table import Table

    table = Table("latency (ms)", "count", "p50", "p95", "p99")
    named: list[tuple[str, Percentiles | None]] = [
        ("calls", account.call_seconds),
        ("first token", account.first_token_seconds),
        ("runs", account.run_seconds),
    ]
    for name, seen in named:
        if seen is not None:
            cells = [f"{1000 * value:,.1f}" for value in (seen.p50, seen.p95, seen.p99)]
            table.add_row(name, f"{seen.count:,}", *cells)
    console.print(table)


def _print_agents(account: "Account", console: "Console") -> None:
    from rich.table import Table

    table = Table("agent", "runs", "completed", "calls", "cost", "cost per completed run")
    for agent in account.agents:
        cost = f"${agent.cost_usd}" if agent.cost_usd else f"unknown (estimate ${agent.ledger_usd})"
        each = f"${agent.cost_per_completed_usd}" if agent.cost_per_completed_usd else "unknown"
        table.add_row(agent.agent, str(agent.runs), str(agent.completed), f"{agent.calls:,}", cost, each)
    console.print(table)


def _print_costs(account: "Account", field: "CostField", console: "Console") -> None:
    from rich.table import Table

    lines = account.costs[field]
    if len(lines) < 2 and field == "model":
        return
    table = Table(f"cost by {field}", "calls", "runs", "tokens in", "tokens out", "USD")
    for line in lines[:_MOST_LINES]:
        counts = (line.calls, line.runs, line.input_tokens, line.output_tokens)
        table.add_row(line.value or "(none)", *[f"{count:,}" for count in counts], line.cost_usd)
    if len(lines) > _MOST_LINES:
        table.add_row(f"and {len(lines) - _MOST_LINES} more", "", "", "", "", "")
    console.print(table)
