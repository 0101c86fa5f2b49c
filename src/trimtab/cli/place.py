"""`trimtab place`: which models on which GPUs, in which precision and how often; as commands to run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Json

if TYPE_CHECKING:
    from trimtab.simulation.placement import Placement, Shortage

_INFEASIBLE = 1


def place(
    models: Annotated[Path, typer.Option(help="models.toml: models, their demand and objectives.")],
    gpus: Annotated[Path, typer.Option(help="gpus.toml: kinds of GPUs, how many, what they cost.")],
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="The solver's time, at most.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the solver.")] = 0,
    json: Json = False,
) -> None:
    """Place models on GPUs at the least cost: MIG layouts, precisions, replicas, adapters. Needs the extra `place`."""
    import msgspec

    from trimtab.simulation.placement import Shortage, plan, read_order

    found = plan(read_order(models, gpus), seconds, seed)
    if json:
        typer.echo(msgspec.json.encode(_told(found)).decode())
    elif isinstance(found, Shortage):
        _print_shortage(found, seconds)
    else:
        _print_placement(found)
    if isinstance(found, Shortage):
        raise typer.Exit(_INFEASIBLE)


def _told(found: "Placement | Shortage") -> dict[str, object]:
    import msgspec

    from trimtab.simulation.placement import Shortage

    plain: dict[str, object] = msgspec.to_builtins(found)
    return {"feasible": not isinstance(found, Shortage)} | plain


def _print_shortage(found: "Shortage", seconds: float) -> None:
    if found.unknown:
        typer.echo(
            f"trimtab: no placement was found in {seconds:g} s, and none excluded: give more --seconds",
            err=True,
        )
        return
    typer.echo("trimtab: there is no placement. In the way, together:", err=True)
    for lack in found.lacks:
        typer.echo(
            f"  {lack.file}:{lack.line}: {lack.key} ({lack.subject}): {lack.message}; {lack.remedy}", err=True
        )


def _print_placement(found: "Placement") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide

    table = Table(
        "model", "replicas", "on", "precision", "adapters", "requests/s", "at once", "TTFT s", "TPOT ms"
    )
    table.add_column("GiB: weights + adapters + KV + rest")
    for line in found.lines:
        memory = line.memory
        parts = (memory.weights, memory.adapters, memory.kv_cache, memory.overhead)
        table.add_row(
            plain(line.model),
            f"{line.replicas:,}",
            line.place,
            line.precision,
            plain(", ".join(line.adapters)),
            f"{line.requests_per_second:.2f} each",
            f"{line.at_once} (by {line.bound_by})",
            f"{line.ttft_seconds:.2f}",
            f"{line.tpot_milliseconds:.0f}",
            " + ".join(f"{part:.1f}" for part in parts) + f" of {memory.usable:.1f}",
        )
    print_wide(table)
    _print_costs(found)
    typer.echo("\nWhy so")
    for line in found.lines:
        typer.echo(f"  {line.model} on {line.place}: {line.why}")
    typer.echo("\n# MIG layout" if found.mig else "\n# no GPU is cut by MIG")
    for command in found.mig:
        typer.echo(command)
    typer.echo("\n# vLLM (ids of MIG instances: nvidia-smi -L)")
    for command in found.vllm:
        typer.echo(command)
    for note in found.notes:
        typer.echo(f"\nnote: {note}", err=True)


def _print_costs(found: "Placement") -> None:
    proof = (
        "no placement is cheaper"
        if found.status == "optimal"
        else f"at most {100 * found.gap:.1f} % too dear"
    )
    used = ", ".join(f"{count} x {kind}" for kind, count in found.gpus.items() if count) or "no GPU"
    typer.echo(f"{found.usd_per_hour:,.2f} USD/h on {used}; {proof}; solved in {found.seconds:.2f} s")
    if not found.repeatable:
        typer.echo(
            "the clock ended the search: another run may find another placement; give more --seconds",
            err=True,
        )
    for name, other in (
        ("first fit decreasing with MIG", found.first_fit),
        ("first fit decreasing on whole GPUs", found.whole_gpus),
    ):
        if other.failed:
            typer.echo(f"{name}: no place left for {other.failed}")
            continue
        saved = 100 * (1 - found.usd_per_hour / other.usd_per_hour) if other.usd_per_hour else 0.0
        typer.echo(
            f"{name}: {other.usd_per_hour:,.2f} USD/h on {other.gpus} GPUs; this is {saved:.1f} % cheaper"
        )
