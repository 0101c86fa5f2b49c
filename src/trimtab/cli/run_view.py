"""How `trimtab runs show` shows a run of a hosted workflow."""

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trimtab.app.runs import RunView


def view_json(view: "RunView") -> str:
    """For programs."""
    import msgspec

    from trimtab.traces import asked_json, facts_json, tree_json

    row = view.run
    told: dict[str, Any] = facts_json(row) | {
        "input": msgspec.Raw(row.input),
        "output": None if row.output is None else msgspec.Raw(row.output),
        "metadata": msgspec.Raw(row.metadata.encode()),
        "worker": view.worker,
        "questions": [{"id": asked.id, **asked_json(asked)} for asked in view.questions],
        "checkpoints": view.points,
        "trace": None if view.tree is None else tree_json(view.tree),
    }
    return msgspec.json.encode(told).decode()


def print_view(view: "RunView") -> None:
    """For people."""
    from trimtab.cli.running import shown_text
    from trimtab.cli.tables import print_wide
    from trimtab.cli.trace_tree import tree_of
    from trimtab.core import shown_time

    row = view.run
    lines = [
        ("run", f"{row.id} of {row.workflow}, version {row.version}"),
        ("tenant", row.tenant + (f", user {row.user}" if row.user else "")),
        ("thread", row.thread),
        ("state", row.state + (" (asked to end)" if row.cancel_asked and row.state == "running" else "")),
        ("driven by", _worker(view)),
        ("claim", f"{row.claim}, outlived {row.recoveries} workers"),
        ("began", f"{shown_time(row.created_at)} UTC, last change {shown_time(row.updated_at)} UTC"),
        ("origin", row.origin),
        ("error", row.error),
    ]
    for name, text in lines:
        if text:
            typer.echo(f"{name:>10}  {shown_text(text)}")
    for asked in view.questions:
        of = f" of {asked.asked_of}" if asked.asked_of else ""
        due = f", due {shown_time(asked.due_at)} UTC" if asked.due_at is not None else ""
        typer.echo(shown_text(f"{'asks':>10}  {asked.value.decode()}{of}{due} (question {asked.id})"))
    if view.tree is not None:
        print_wide(tree_of(view.tree))
    _print_points(view)


def _worker(view: "RunView") -> str:
    row, worker = view.run, view.worker
    if not row.owner:
        return ""
    if worker is None:
        return f"{row.owner}, which is gone"
    return f"{row.owner} on {worker.host} (pid {worker.pid}), heard of {view.heard_seconds:,.1f} s ago"


def _print_points(view: "RunView") -> None:
    if not view.points:
        return
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide

    table = Table("step", "checkpoint", "at", "made by", "goes on with")
    for point in view.points:
        to_come = ", ".join(point.to_come) or "(the end)"
        table.add_row(str(point.step), point.id, point.at[:19], plain(point.source), plain(to_come))
    print_wide(table)
