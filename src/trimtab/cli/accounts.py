"""Prints what a demo or replay came to."""

from typing import TYPE_CHECKING

import typer

from trimtab.cli.tables import plain

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.app.account import Account, AgentAccount
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
        console.print(f"[red]{count} x {plain(fault)}[/red]", highlight=False)
    for notice in account.notices:
        console.print(plain(notice), highlight=False)


def _print_summary(account: "Account", console: "Console") -> None:
    endings = ", ".join(f"{count} {ending}" for ending, count in sorted(account.endings.items()))
    refusals = ", ".join(f"{count} of {tenant}" for tenant, count in sorted(account.refusals.items()))
    lines = [
        ("runs", f"{account.runs} in {account.seconds:.1f} s ({endings})"),
        ("completed", f"{account.completed}" + (f" ({account.unknown} unknown)" if account.unknown else "")),
        ("calls", f"{account.calls} ({account.calls_failed} failed)"),
        ("cost", _total(account)),
        ("cost per completed run", _per_completed(account)),
        ("refused by budgets", f"{account.calls_refused_by_budget} calls; runs ended: {refusals or 'none'}"),
    ]
    for name, text in lines:
        console.print(f"{name:>24}  {text}", highlight=False)


def _total(account: "Account") -> str:
    unpriced = account.calls_without_price
    if unpriced and unpriced == account.calls:
        return "unknown (no price)"
    return f"≥ ${account.cost_usd} ({unpriced} calls have no price)" if unpriced else f"${account.cost_usd}"


def _per_completed(account: "Account") -> str:
    if account.cost_per_completed_usd:
        return f"${account.cost_per_completed_usd}"
    return "unknown: no price" if account.calls_without_price else "unknown: none completed"


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

    table = Table("agent", "runs", "completed", "unknown", "calls", "cost", "cost per completed run")
    for agent in account.agents:
        counts = (agent.runs, agent.completed, agent.unknown, agent.calls)
        each = f"${agent.cost_per_completed_usd}" if agent.cost_per_completed_usd else "unknown"
        table.add_row(plain(agent.agent), *[f"{count:,}" for count in counts], _cost(agent), each)
    console.print(table)


def _cost(agent: "AgentAccount") -> str:
    if agent.cost_usd:
        return f"${agent.cost_usd}"
    estimate = f"; estimate ${agent.ledger_usd}" if agent.cost_unknown == "no usage" else ""
    return f"unknown ({agent.cost_unknown}{estimate})"


def _print_costs(account: "Account", field: "CostField", console: "Console") -> None:
    from rich.table import Table

    lines = account.costs[field]
    if len(lines) < 2 and field == "model":
        return
    table = Table(f"cost by {field}", "calls", "runs", "tokens in", "tokens out", "USD")
    for line in lines[:_MOST_LINES]:
        counts = (line.calls, line.runs, line.input_tokens, line.output_tokens)
        mark = "≥ " if line.calls_without_price else ""
        usd = "unknown (no price)" if line.calls_without_price == line.calls else f"{mark}{line.cost_usd}"
        table.add_row(plain(line.value) or "(none)", *[f"{count:,}" for count in counts], usd)
    if len(lines) > _MOST_LINES:
        table.add_row(f"and {len(lines) - _MOST_LINES} more", "", "", "", "", "")
    console.print(table)
