"""`trimtab simulate`: policies on a simulated cluster, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Json

if TYPE_CHECKING:
    from trimtab.simulation.cluster import Cluster, ClusterReport, Row, SessionPlan

_SYNTHETIC = "synthetic:"
_DRAWN = (
    ("p95_seconds", "p95 seconds of a run without tool time"),
    ("slo", "share of runs in SLO"),
    ("dollars_per_1000_in_slo", "USD per 1,000 runs in SLO"),
)


def simulate(
    cluster: Annotated[Path, typer.Option(help="cluster.toml: servers, faults, scaling, workload.")],
    traces: Annotated[
        list[str],
        typer.Option(
            help="Recorded steps of agents, JSON Lines or gzip of it; may be given several times. "
            "synthetic:research, synthetic:layered or synthetic:wide draw fan-out graphs."
        ),
    ],
    policy: Annotated[
        str, typer.Option(help="Policies by commas: names, or CHOOSER+ORDER such as eta+srpt.")
    ] = "round_robin,prefix_load,default",
    load: Annotated[str, typer.Option(help="Multiples of the workload's sessions_a_second.")] = "1",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many times, each with other chances.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and the SVG plots.")] = None,
    json: Json = False,
) -> None:
    """Simulate a cluster under scheduling policies, loads and seeds. Nothing is sent anywhere."""
    import msgspec

    from trimtab.scheduling import scheduling_policy
    from trimtab.simulation.cluster import read_cluster

    settings = read_cluster(cluster)
    policies = list(dict.fromkeys(part.strip() for part in policy.split(",") if part.strip()))
    for name in policies:
        scheduling_policy(name)
    report = _report(settings, _plans(settings, traces), policies, _loads(load), seeds)
    if out is not None:
        _write(report, out)
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(report)


def _loads(told: str) -> list[float]:
    from trimtab.core.errors import ConfigError

    try:
        loads = [float(part) for part in told.split(",")]
    except ValueError:
        loads = []
    if not loads or not all(0 < one < 1e6 for one in loads):
        raise ConfigError(f"expected multiples above 0 by commas, as in 0.5,1,2; got {told!r}", key="--load")
    return sorted(set(loads))


def _plans(settings: "Cluster", traces: list[str]) -> "list[SessionPlan]":
    from trimtab.core.errors import ConfigError
    from trimtab.simulation.cluster import Cut, layered, read_sessions, research, wide

    terms = settings.workload
    longest = int(0.9 * min(one.kv_tokens for one in settings.profiles()))
    cut = Cut(min(terms.most_input_tokens, longest), terms.most_steps)
    drawn = {"research": research, "layered": layered, "wide": wide}
    plans: list[SessionPlan] = []
    for told in traces:
        if not told.startswith(_SYNTHETIC):
            plans += read_sessions(Path(told), cut)
            continue
        kind = told.removeprefix(_SYNTHETIC)
        if kind not in drawn:
            raise ConfigError(
                f"{told!r}: there are {', '.join(_SYNTHETIC + name for name in drawn)}", key="--traces"
            )
        plans += drawn[kind](400, 1)
    return plans


def _report(
    settings: "Cluster", plans: "list[SessionPlan]", policies: list[str], loads: list[float], seeds: int
) -> "ClusterReport":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from trimtab.simulation.cluster import (
        KNEE_POLICY,
        KNEE_SLO,
        NOT_MODELLED,
        ClusterReport,
        allowed_seconds,
        knee,
        row,
        simulate,
    )

    slos = allowed_seconds(plans, settings)
    notes = list(NOT_MODELLED)
    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=len(policies) * len(loads) * seeds)
        rate = settings.workload.sessions_a_second
        if rate is None:
            rate = knee(settings, plans, slos)
            notes.append(
                f"load 1 is the knee: {rate:.3g} sessions a second, the most at which {KNEE_SLO:.0%} of runs are in "
                f"SLO under {KNEE_POLICY}"
            )
        for load in loads:
            for name in policies:
                measures = []
                for seed in range(seeds):
                    measures.append(simulate(settings, plans, slos, name, load * rate, seed))
                    bar.advance(task)
                rows.append(row(name, load, load * rate, measures))
    return ClusterReport(tuple(rows), slos, tuple(settings.given()), tuple(notes))


def _write(report: "ClusterReport", out: Path) -> None:
    import msgspec

    from trimtab.simulation.cluster import draw

    out.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.svg": draw(report, name, title) for name, title in _DRAWN}
    files["report.json"] = msgspec.json.format(msgspec.json.encode(report).decode()) + "\n"
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out / name}", err=True)


def _print(report: "ClusterReport") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide
    from trimtab.simulation.cluster import COLUMNS, cells

    table = Table(title="simulated; medians over seeds", title_justify="left")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if not number else "right")
    for line in report.rows:
        table.add_row(*(plain(cell) for cell in cells(line)))
    print_wide(table)
    allowed = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.allowed_seconds.items())
    typer.echo(f"allowed: {allowed}")
    for note in (*report.servers, *report.notes):
        typer.echo(note)
