"""`trimtab demo` and `trimtab replay`: the main job, on a simulated and on recorded traffic."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.app.stage import Play

Data = Annotated[
    Path | None, typer.Option(help="Folder to keep the store in; default a new one under the system's temp.")
]


def demo(
    runs: Annotated[int, typer.Option(min=1, max=5000, help="Runs, all at once.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed plays the same tasks.")] = 7,
    data: Data = None,
    json: Json = False,
) -> None:
    """200 concurrent support runs of two tenants against a simulated expert; no key, no network."""
    from trimtab.app.plays import demo_play

    _perform(lambda progress: demo_play(runs, seed, progress), "demo (simulated expert)", data, json)


def replay(
    path: Annotated[
        Path | None, typer.Argument(help="Recorded runs: JSON Lines, gzipped or not.", show_default=False)
    ] = None,
    agents: Annotated[str, typer.Option(help="Only these agents, by commas.")] = "",
    stream: Annotated[bool, typer.Option("--stream", help="Stream every call.")] = False,
    mixed: Annotated[bool, typer.Option("--mixed", help="Stream every other call.")] = False,
    pace: Annotated[
        float, typer.Option(min=0, help="Keep recorded latency, times this factor; 0 is off.")
    ] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Runs at once.")] = 16,
    data: Data = None,
    verify_decisions: Annotated[
        bool,
        typer.Option(
            "--verify-decisions",
            help="Let controllers decide anew on what they decided (in FILE, else in the store), and compare.",
        ),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Send recorded runs through the gateway; a cassette answers each call with what was recorded."""
    if verify_decisions:
        _verify_decisions(path, config, json=json)
        return
    from trimtab.app.plays import replay_play
    from trimtab.core.errors import ConfigError

    if path is None:
        raise ConfigError("name the file with recorded runs", key="PATH")
    named = tuple(name.strip() for name in agents.split(",") if name.strip())
    mode = "stream" if stream else "mixed" if mixed else "plain"
    _perform(
        lambda progress: replay_play(path, named, mode, pace, concurrency, progress),  # type: ignore[arg-type]
        f"replay of {path.name}",
        data,
        json,
    )


def _verify_decisions(path: Path | None, config: Path | None, *, json: bool) -> None:
    import msgspec

    from trimtab.app import open_database
    from trimtab.app.recheck import Rechecker, exported_decisions, stored_decisions
    from trimtab.store import Selection

    with open_database(config) as (settings, database):
        recorded = (
            stored_decisions(settings, database, Selection()) if path is None else exported_decisions(path)
        )
        found = Rechecker(settings).check(recorded)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo(f"{found.same:,} decisions came out the same, {found.differ:,} did not")
        for reason, count in found.unchecked.items():
            typer.echo(f"{count:,} not compared: {reason}")
        for each in found.differences:
            typer.echo(f"{each.where}: {each.controller} said {each.recorded}, now {each.now}", err=True)
    if found.differ:
        raise typer.Exit(1)


def _perform(
    make: Callable[[Callable[[int, int], None]], "Play"], title: str, data: Path | None, json: bool
) -> None:
    import tempfile

    import uvloop
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from trimtab.app.account import account_of
    from trimtab.app.stage import perform
    from trimtab.cli.accounts import print_account

    folder = data or Path(tempfile.mkdtemp(prefix="trimtab-"))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal and json) as bar:
        task = bar.add_task(title, total=None)
        play = make(lambda done, total: bar.update(task, completed=done, total=total))
        bar.update(task, total=play.total)
        report = uvloop.run(perform(play, folder))
    account = account_of(title, report, folder, play.notices)
    print_account(account, json=json)
    console.print(
        f"Kept in {folder}; look further with "
        f"`trimtab costs -c {folder}/trimtab.toml --by workflow,step` or `trimtab traces list -c …`",
        soft_wrap=True,
    )
    if account.calls_failed or account.altered_replies:
        raise typer.Exit(1)
