"""`trimtab demo` and `trimtab replay`: the main job, on a simulated and on recorded traffic."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Json

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
    path: Annotated[Path, typer.Argument(help="Recorded runs: JSON Lines, gzipped or not.")],
    agents: Annotated[str, typer.Option(help="Only these agents, by commas.")] = "",
    stream: Annotated[bool, typer.Option("--stream", help="Stream every call.")] = False,
    mixed: Annotated[bool, typer.Option("--mixed", help="Stream every other call.")] = False,
    pace: Annotated[
        float, typer.Option(min=0, help="Keep recorded latency, times this factor; 0 is off.")
    ] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Runs at once.")] = 16,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send recorded runs through the gateway; a cassette answers each call with what was recorded."""
    from trimtab.app.plays import replay_play

    named = tuple(name.strip() for name in agents.split(",") if name.strip())
    mode = "stream" if stream else "mixed" if mixed else "plain"
    _perform(
        lambda progress: replay_play(path, named, mode, pace, concurrency, progress),  # type: ignore[arg-type]
        f"replay of {path.name}",
        data,
        json,
    )


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
