"""The `trimtab` command: one module a verb, heavy imports inside the commands."""

import sys

import typer

from trimtab.cli import (
    console,
    controllers,
    costs,
    evaluate,
    keys,
    learn,
    load,
    place,
    playing,
    running,
    runs,
    serving,
    simulate,
    traces,
    whatif,
    worker,
)
from trimtab.core.errors import TrimtabError

app = typer.Typer(
    name="trimtab",
    help="The layer between agents and models: knows runs and steps, attributes every nanodollar.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serving.serve)
app.command("init")(serving.init)
app.command("run")(running.run)
app.command("worker")(worker.worker)
app.command("console")(console.console)
app.command("demo")(playing.demo)
app.command("replay")(playing.replay)
app.command("costs")(costs.costs)
app.command("learn")(learn.learn)
app.command("evaluate")(evaluate.evaluate)
app.command("whatif")(whatif.whatif)
app.command("place")(place.place)
app.command("load")(load.load)
app.command("simulate")(simulate.simulate)
app.add_typer(runs.app, name="runs")
app.add_typer(traces.app, name="traces")
app.add_typer(controllers.app, name="controllers")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run a command; errors of ours are said in one line, exit code 1."""
    try:
        app()
    except TrimtabError as error:
        typer.echo(f"trimtab: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["app", "main"]
