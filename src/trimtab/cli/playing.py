"""`trimtab demo` and `trimtab replay`: the main job, on a simulated and on recorded traffic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.app.comparison import SecondHalf
    from trimtab.app.lesson import Lesson
    from trimtab.app.stage import Play
    from trimtab.simulation import TrafficReport

    Make = Callable[[Callable[[int, int], None]], Play]

Data = Annotated[
    Path | None, typer.Option(help="Folder to keep the store in; default a new one under the system's temp.")
]


def demo(
    runs: Annotated[int, typer.Option(min=1, max=5000, help="Runs, all at once.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed plays the same tasks.")] = 7,
    learn: Annotated[
        bool, typer.Option(help="Learn a controller from these runs; play new tasks without and with it.")
    ] = True,
    pace: Annotated[
        float, typer.Option(min=0, max=100, help="The expert's latency on the new tasks, times this factor.")
    ] = 1.0,
    data: Data = None,
    json: Json = False,
) -> None:
    """200 concurrent support runs against a simulated expert, then what a controller learned from them saves on
    new ones. No key, no network."""
    from msgspec.structs import asdict

    from trimtab.app.account import account_of
    from trimtab.app.comparison import DemoAccount, SecondHalf
    from trimtab.app.plays import demo_play
    from trimtab.app.second_half import HalfTerms, play_second_half
    from trimtab.cli.accounts import print_account

    stage = _Stage(_folder(data), json=json)
    title = "demo (simulated expert)"
    first = stage.play(lambda progress: demo_play(runs, seed, progress), title)
    account = account_of(title, first, stage.folder)
    if not json:
        print_account(account, json=False)
    half = SecondHalf()
    if learn:
        half = play_second_half(first, stage.folder, HalfTerms(runs, seed, pace), stage)
    if json:
        print_account(DemoAccount(**asdict(account), second_half=half), json=True)
    else:
        _print_half(half)
    stage.say_where()
    arms = (half.comparison.before, half.comparison.after) if half.comparison else ()
    if account.calls_failed or any(arm.calls_failed for arm in arms):
        raise typer.Exit(1)


def _print_half(half: "SecondHalf") -> None:
    from trimtab.cli.comparisons import print_comparison

    if half.comparison is not None:
        print_comparison(half.comparison)
    if half.notice:
        typer.echo(f"\n{half.notice}")


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
    from trimtab.app.account import account_of
    from trimtab.app.plays import replay_play
    from trimtab.cli.accounts import print_account
    from trimtab.core.errors import ConfigError

    if path is None:
        raise ConfigError("name the file with recorded runs", key="PATH")
    named = tuple(name.strip() for name in agents.split(",") if name.strip())
    mode = "stream" if stream else "mixed" if mixed else "plain"
    stage, title, notices = _Stage(_folder(data), json=json), f"replay of {path.name}", list[str]()

    def make(progress: Callable[[int, int], None]) -> "Play":
        play = replay_play(path, named, mode, pace, concurrency, progress)  # type: ignore[arg-type]
        notices.extend(play.notices)
        return play

    report = stage.play(make, title)
    account = account_of(title, report, stage.folder, tuple(notices))
    print_account(account, json=json)
    stage.say_where()
    if account.calls_failed or account.altered_replies:
        raise typer.Exit(1)


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


class _Stage:
    """Plays in a folder, with a bar on stderr."""

    def __init__(self, folder: Path, *, json: bool) -> None:
        from rich.console import Console

        self.folder, self._json = folder, json
        self._console = Console(stderr=True)

    def play(self, make: "Make", title: str) -> "TrafficReport":
        """Perform it; interrupted, it comes back with what was measured."""
        import uvloop
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from trimtab.app.stage import perform

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=self._is_quiet) as bar:
            task = bar.add_task(title, total=None)
            play = make(lambda done, total: bar.update(task, completed=done, total=total))
            bar.update(task, total=play.total)
            return uvloop.run(perform(play, self.folder))

    @contextmanager
    def bar(self, title: str) -> Iterator[Callable[[str, float], None]]:
        """A bar of shares."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=self._is_quiet, transient=True) as bar:
            task = bar.add_task(title, total=1.0)
            yield lambda what, share: bar.update(task, description=f"{title}: {what}", completed=share)

    def tell(self, lesson: "Lesson") -> None:
        """What was learned, unless all of it is to be JSON."""
        from trimtab.cli.comparisons import print_lesson

        if not self._json:
            print_lesson(lesson)

    def say_where(self) -> None:
        """Where to look further."""
        self._console.print(
            f"Kept in {self.folder}; look further with "
            f"`trimtab costs -c {self.folder}/trimtab.toml --by workflow,step` or `trimtab traces list -c …`",
            soft_wrap=True,
        )

    @property
    def _is_quiet(self) -> bool:
        return not self._console.is_terminal and self._json


def _folder(data: Path | None) -> Path:
    import tempfile

    return data or Path(tempfile.mkdtemp(prefix="trimtab-"))
