"""`trimtab run`: run a hosted workflow here and now, or go on with a run whose process died."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.app.following import Happening
    from trimtab.app.running import Finished


def run(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow; none with --resume.")] = "",
    input: Annotated[str, typer.Option(help="The graph's input, as JSON.")] = "{}",
    tenant: Annotated[str, typer.Option(help="Whose run it is.")] = "default",
    user: Annotated[str, typer.Option(help="On whose behalf.")] = "",
    resume: Annotated[
        str, typer.Option(help="Id of a run to go on with; finished nodes are not run again.")
    ] = "",
    answer: Annotated[
        str | None, typer.Option(help="With --resume: the answer, as JSON, to what the run waits for.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Tell steps and what models say on the way, on stderr.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Run a hosted workflow durably; prints its result, what it cost and its steps."""
    from trimtab.app import load_config
    from trimtab.app.running import Wanted, run_new, run_on
    from trimtab.core.errors import ConfigError

    if bool(workflow) == bool(resume):
        raise ConfigError("name a workflow, or a run with --resume", key="WORKFLOW")
    if resume and follow:
        raise ConfigError("only a new run is followed; see `trimtab runs show`", key="--follow")
    loaded = load_config(config)

    def announce(id: str) -> None:
        typer.echo(f"run {id}", err=True)

    if resume:
        finished = run_on(loaded, resume, None if answer is None else answer.encode(), announce)
    else:
        wanted = Wanted(workflow, input.encode(), tenant, user)
        finished = run_new(loaded, wanted, announce, Teller().tell if follow else None)
    print_finished(finished, json=json)
    if finished.run.state not in ("done", "waiting"):
        sys.exit(1)


class Teller:
    """Writes what happens in a run to stderr: a line for each step, and what models say between them."""

    def __init__(self) -> None:
        self._speaks = ""

    def tell(self, happening: "Happening") -> None:
        """One thing that happened."""
        step = happening.step
        if happening.kind == "said":
            if self._speaks != step:
                self._hush()
                typer.echo(f"  {step}: ", nl=False, err=True)
                self._speaks = step
            typer.echo(shown_text(happening.text), nl=False, err=True)
            return
        self._hush()
        typer.echo(_line(happening), err=True)

    def _hush(self) -> None:
        if self._speaks:
            typer.echo("", err=True)
        self._speaks = ""


def _line(happening: "Happening") -> str:
    from trimtab.core import usd_text

    if happening.kind == "began":
        return f"> {happening.step}"
    mark = {"ended": "<", "failed": "!", "asked": "?"}[happening.kind]
    cost = "cost unknown" if happening.nanodollars is None else f"${usd_text(happening.nanodollars)}"
    reason = f", {shown_text(happening.text)}" if happening.text else ""
    return f"{mark} {happening.step}  {happening.seconds:,.2f} s, {cost}{reason}"


def shown_text(text: str) -> str:
    """What others wrote, without what steers a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_finished(finished: "Finished", *, json: bool) -> None:
    """A run's result, what it cost, its steps; and what can be done with it."""
    import msgspec

    row, tree = finished.run, finished.tree
    output = msgspec.json.decode(row.output) if row.output else None
    if json:
        from trimtab.traces import brief_json, tree_json

        told = {"output": output, "error": row.error, "trace": tree and tree_json(tree)}
        typer.echo(msgspec.json.encode(brief_json(row) | told).decode())
        return
    if output is not None:
        typer.echo(msgspec.json.format(msgspec.json.encode(output)).decode())
    typer.echo(f"{row.workflow} {row.state}" + (f": {row.error}" if row.error else ""))
    if row.state == "waiting":
        typer.echo(f"answer it: trimtab run --resume {row.id} --answer JSON", err=True)
    if row.state in ("queued", "parked", "failed"):
        typer.echo(f"go on with it: trimtab run --resume {row.id}", err=True)
    if tree is not None:
        from trimtab.cli.tables import print_wide
        from trimtab.cli.trace_tree import tree_of

        print_wide(tree_of(tree))
