"""`trimtab controllers list|show|shadow|enable|disable|delete`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.app.seating import Portrait, Seat, Seating

app = typer.Typer(help="Controllers: what was learned, what is at work, how it does.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="WORKFLOW/KIND or WORKFLOW/KIND@VERSION; without: the newest.")]
By = Annotated[str, typer.Option(help="Who says so, for the audit; default who is logged in.")]


@app.command("list")
def list_controllers(config: Config = None, json: Json = False) -> None:
    """List every version there is, its state, and what is damaged: all files are verified."""
    with _seating(config) as seating:
        seats = seating.seats()
    if json:
        _print_json([_seat_json(seat) for seat in seats])
        return
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide
    from trimtab.core import shown_time

    table = Table("controller", "version", "state", "created (UTC)", "evaluation", "answered", "left", "note")
    for seat in seats:
        manifest = seat.manifest
        table.add_row(
            plain(f"{seat.address.workflow}/{seat.address.kind}"), plain(seat.address.version), plain(seat.standing),
            shown_time(manifest.created) if manifest else "", _evaluation(seat), f"{seat.answered:,}",
            f"{seat.abstained:,}", plain(seat.silence),
        )  # fmt: skip
    print_wide(table)


@app.command()
def show(name: Name, config: Config = None, json: Json = False) -> None:
    """Show a version: its promise, its report, who agreed with it how often, whether it drifts."""
    from trimtab.app.seating import address_of

    with _seating(config) as seating:
        portrait = seating.portrait(address_of(name))
    if json:
        _print_json(_portrait_json(portrait))
        return
    _print_portrait(portrait)


@app.command()
def shadow(name: Name, by: By = "", config: Config = None) -> None:
    """Let a version decide beside the model, and count who agrees. Running gateways follow within two seconds."""
    from trimtab.app.seating import address_of

    with _seating(config) as seating:
        done = seating.put_to_work(address_of(name), "shadow", by or _user())
        silence = seating.silence(done)
    typer.echo(f"{done.title} looks on")
    _warn(silence)


@app.command()
def enable(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also without a passed evaluation; recorded.")
    ] = False,
    by: By = "",
    config: Config = None,
) -> None:
    """Let a version answer in the model's place. Running gateways follow within two seconds."""
    from trimtab.app.seating import address_of

    with _seating(config) as seating:
        done = seating.put_to_work(address_of(name), "enabled", by or _user(), forced=force)
        silence = seating.silence(done)
    typer.echo(f"{done.title} is enabled")
    _warn(silence)


@app.command()
def disable(name: Name, by: By = "", config: Config = None) -> None:
    """Take a version off its work, or all of a kind where none is named."""
    from trimtab.app.seating import address_of
    from trimtab.core.errors import ConfigError

    with _seating(config) as seating:
        count = seating.lay_off(address_of(name), by or _user())
    if not count:
        raise ConfigError(f"{name} is not at work; see `trimtab controllers list`")
    typer.echo(f"disabled {name}")


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="WORKFLOW/KIND@VERSION.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    by: By = "",
    config: Config = None,
) -> None:
    """Delete a version that is not at work, with its counts."""
    from trimtab.app.seating import address_of

    if not yes:
        typer.confirm(f"Delete {name} for good?", abort=True)
    with _seating(config) as seating:
        seating.delete(address_of(name), by or _user())
    typer.echo(f"deleted {name}")


@contextmanager
def _seating(config: Config) -> "Iterator[Seating]":
    from trimtab.app import open_database
    from trimtab.app.seating import Seating
    from trimtab.core import SystemClock

    with open_database(config) as (settings, database):
        yield Seating(settings, database, SystemClock())


def _warn(silence: str) -> None:
    """Say why it will answer nothing; nothing where it may."""
    if silence:
        typer.echo(f"warning: {silence}", err=True)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _evaluation(seat: "Seat") -> str:
    report = seat.manifest.report if seat.manifest else None
    if report is None:
        return "none"
    return "passed" if report.passed else "not passed"


def _print_json(shown: object) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(shown).decode())


def _seat_json(seat: "Seat") -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(seat)
    address: dict[str, object] = msgspec.to_builtins(plain.pop("address"))
    return address | plain


def _portrait_json(portrait: "Portrait") -> dict[str, object]:
    import msgspec

    whole: dict[str, object] = msgspec.to_builtins(portrait)
    return {**_seat_json(portrait.seat), **{name: each for name, each in whole.items() if name != "seat"}}


def _print_portrait(portrait: "Portrait") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide
    from trimtab.controllers import card_markdown
    from trimtab.core import shown_time

    seat = portrait.seat
    typer.echo(f"{seat.address.title}: {seat.standing}")
    if seat.silence:
        typer.echo(f"note: {seat.silence}")
    if seat.manifest is not None:
        typer.echo(card_markdown(seat.manifest))
    _say_drift(portrait)
    if portrait.lines:
        table = Table("mode", "tool or label", "confidence", "decided", "judged", "agreed", "agreement")
        for line in portrait.lines:
            share = f"{line.agreed / line.judged:.1%}" if line.judged else ""
            counts = (f"{count:,}" for count in (line.decided, line.judged, line.agreed))
            option = "the whole turn" if line.option == "*" else plain(line.option)
            table.add_row(line.mode, option, line.confidence, *counts, share)
        print_wide(table)
    for event in portrait.events:
        forced = ", forced" if event.forced else ""
        report = f", report {event.report}" if event.report else ""
        said = {"displaced": f", {event.other} took its place", "enabled": f", in the place of {event.other}"}
        other = said.get(event.action, "") if event.other else ""
        typer.echo(f"{shown_time(event.at)} UTC {event.action} by {event.by}{forced}{report}{other}")


def _say_drift(portrait: "Portrait") -> None:
    drift = portrait.drift
    if drift is None:
        typer.echo("drift: not known, it says nothing of its validation")
        return
    said = "; ".join(drift.reasons) or "none seen"
    typer.echo(
        f"drift: {said} ({drift.calls:,} calls, {drift.abstention:.1%} left to the model, "
        f"{drift.expected_abstention:.1%} in validation, index {drift.index:.3f})"
    )
