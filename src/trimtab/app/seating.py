"""What people do with controllers: see what there is, put a version to work, take it off. Each change is audited."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import msgspec
from sqlalchemy import Connection

from trimtab.app.store import controller_folder
from trimtab.config import Settings, WorkflowSettings
from trimtab.controllers import (
    ABSTAINED,
    BINS,
    WHOLE,
    Broken,
    Drift,
    Manifest,
    Package,
    Profile,
    Registry,
    bin_text,
    drift_of,
    name_of,
    place_of,
    read_manifest,
    silence,
)
from trimtab.core import Clock, ControllerKind, IdSource
from trimtab.core.errors import ConfigError, DataError
from trimtab.store import (
    ControllerAction,
    ControllerState,
    Database,
    EventRow,
    StateRow,
    TallyRow,
    controllers,
    tallies,
)


class Address(msgspec.Struct, frozen=True):
    """`WORKFLOW/KIND@VERSION`; no version: the newest."""

    workflow: str
    kind: str
    version: str = ""

    @property
    def title(self) -> str:
        """As it is written."""
        name = name_of(self.workflow, self.kind)
        return f"{name}@{self.version}" if self.version else name


class Seat(msgspec.Struct, frozen=True):
    """A version as it stands. `problem` says which file is damaged, and the remedy (`manifest` is None where that one
    cannot be read); `silence` why the settings keep it from ever answering."""

    address: Address
    state: str
    manifest: Manifest | None
    problem: str = ""
    silence: str = ""
    answered: int = 0
    abstained: int = 0

    @property
    def standing(self) -> str:
        """Its state for people."""
        if not self.problem:
            return self.state
        return (
            f"damaged: {self.problem}"
            if self.state == "disabled"
            else f"{self.state}, damaged: {self.problem}"
        )


class Line(msgspec.Struct, frozen=True):
    """Decisions for one tool or label (or the whole turn) in one bin of confidence; `agreement` of the judged."""

    mode: str
    option: str
    confidence: str
    decided: int
    judged: int
    agreed: int


class Portrait(msgspec.Struct, frozen=True):
    """All that is known of one version."""

    seat: Seat
    drift: Drift | None
    lines: tuple[Line, ...]
    events: tuple[EventRow, ...]


def address_of(text: str) -> Address:
    """Read `WORKFLOW/KIND[@VERSION]`. Raises ConfigError."""
    known = ", ".join(get_args(ControllerKind))
    workflow, _, rest = text.rpartition("/")
    kind, _, version = rest.partition("@")
    if not workflow or kind not in get_args(ControllerKind):
        raise ConfigError(
            f"{text!r} is no controller: write WORKFLOW/KIND or WORKFLOW/KIND@VERSION, of {known}"
        )
    return Address(workflow, kind, version)


def silence_of(settings: Settings, manifest: Manifest) -> str:
    """Why a version would never answer under these settings; '' where it may."""
    known = settings.workflow.get(manifest.workflow, WorkflowSettings())
    if known.controllers is not None and manifest.kind not in known.controllers:
        return f"the settings keep {manifest.kind} controllers out of the workflow, so it never answers"
    return silence(manifest, eager=known.eager)


class Seating:
    """Constructed for one command."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.registry = Registry(controller_folder(settings))
        self._settings, self._database, self._clock = settings, database, clock

    def seats(self) -> list[Seat]:
        """Everything that is in the registry or at work; files are verified."""
        return self._seats([self._verified(each) for each in self.registry.list()])

    def portrait(self, address: Address) -> Portrait:
        """All of one version; its files are verified. Raises ConfigError where there is none."""
        address = self.newest(address)
        listed = [each for each in self.registry.list() if Address(*_place(each)) == address]
        seat = next((seat for seat in self._seats([self._verified(each) for each in listed])), None)
        if seat is None:
            raise _unknown(address)
        counted, events = self._database.read(
            lambda c: (
                tallies.of_kind(c, address.workflow, address.kind, address.version),
                controllers.events(c, address.workflow, address.kind),
            )
        )
        mine = tuple(event for event in events if event.version == address.version)
        return Portrait(seat, _drift(seat.manifest, counted), tuple(_line(row) for row in counted), mine)

    def silence(self, address: Address) -> str:
        """Why it would never answer under these settings; '' where it may. Raises ConfigError, DataError."""
        address = self.newest(address)
        home = self.registry.folder(address.workflow, address.kind, address.version)
        return silence_of(self._settings, read_manifest(home))

    def put_to_work(
        self, address: Address, state: ControllerState, by: str, *, forced: bool = False
    ) -> Address:
        """Enable a version or let it look on. Raises ConfigError where it has no passed report; DataError."""
        address = self.newest(address)
        manifest = self.registry.open(address.workflow, address.kind, address.version).manifest
        report = manifest.report
        passed = report is not None and report.passed
        if state == "enabled" and not passed and not forced:
            misses = "; ".join(report.misses) if report else ""
            why = (
                f"its evaluation was not passed: {misses or 'no reason given'}"
                if report
                else "it was never evaluated"
            )
            raise ConfigError(f"{address.title} is not enabled: {why}. `--force` enables it all the same")
        row = StateRow(address.workflow, address.kind, address.version, state, self._clock.now(), by)
        digest = report.digest if report else ""

        def work(connection: Connection) -> None:
            controllers.take_turn(connection)
            # It may have been deleted since its files were verified.
            self.newest(address)
            left = controllers.set_to_work(connection, row)
            if left:
                lost = msgspec.structs.replace(address, version=left)
                controllers.note(connection, self._event(lost, "displaced", by, other=address.version))
            action: ControllerAction = "enabled" if state == "enabled" else "shadowed"
            is_forced = forced and not passed
            event = self._event(address, action, by, forced=is_forced, report=digest, other=left)
            controllers.note(connection, event)

        self._database.transact(work)
        return address

    def lay_off(self, address: Address, by: str) -> int:
        """Disable a version, or all of the kind where none is named. Returns how many were at work."""

        def work(connection: Connection) -> int:
            gone = controllers.lay_off(connection, address.workflow, address.kind, address.version)
            for version in gone:
                each = msgspec.structs.replace(address, version=version)
                controllers.note(connection, self._event(each, "disabled", by))
            return len(gone)

        return self._database.transact(work)

    def delete(self, address: Address, by: str) -> None:
        """Delete a version that is not at work, with its counts. Raises ConfigError, DataError."""
        if not address.version:
            raise ConfigError(
                "name the version to delete: WORKFLOW/KIND@VERSION (see `trimtab controllers list`)"
            )
        self.newest(address)
        place = (address.workflow, address.kind, address.version)
        with ExitStack() as undo:

            def work(connection: Connection) -> Path:
                controllers.take_turn(connection)
                _require_idle(connection, address)
                tallies.forget(connection, *place)
                controllers.note(connection, self._event(address, "deleted", by))
                gone = self.registry.set_aside(*place)
                if gone is None:
                    raise _unknown(address)
                undo.callback(self.registry.put_back, gone, *place)
                return gone

            aside = self._database.transact(work)
            undo.pop_all()
        self.registry.discard(aside)

    def newest(self, address: Address) -> Address:
        """With a version: the one named, else the newest there is. Raises ConfigError."""
        versions = self.registry.versions(address.workflow, address.kind)
        if not versions or (address.version and address.version not in versions):
            raise _unknown(address)
        return address if address.version else msgspec.structs.replace(address, version=versions[-1])

    def _verified(self, each: Package | Broken) -> Package | Broken:
        """Broken too where a file is not what was packed."""
        if isinstance(each, Package):
            try:
                self.registry.open(*_place(each))
            except DataError as error:
                return Broken(each.folder, str(error), each.manifest)
        return each

    def _seats(self, listed: list[Package | Broken]) -> list[Seat]:
        """Those seats, and what is at work without being there."""
        rows, counted = self._database.read(lambda c: (controllers.at_work(c), tallies.everything(c)))
        states = {(row.workflow, row.kind, row.version): row.state for row in rows}
        found: list[Seat] = []
        for each in listed:
            place = _place(each)
            mine = [row for row in counted if (row.workflow, row.kind, row.version) == place]
            quiet = silence_of(self._settings, each.manifest) if each.manifest else ""
            found.append(_seat(each, states.pop(place, "disabled"), mine, quiet))
        for place, state in states.items():
            folder = self.registry.folder(*place)
            if not folder.is_dir():
                found.append(Seat(Address(*place), state, None, f"{folder}: the folder is missing"))
        return found

    def _event(
        self,
        address: Address,
        action: ControllerAction,
        by: str,
        *,
        forced: bool = False,
        report: str = "",
        other: str = "",
    ) -> EventRow:
        now = self._clock.now()
        place = (address.workflow, address.kind, address.version)
        return EventRow(IdSource().new(now), now, by, action, *place, forced, report, other)


def _require_idle(connection: Connection, address: Address) -> None:
    place = (address.workflow, address.kind, address.version)
    if any((row.workflow, row.kind, row.version) == place for row in controllers.at_work(connection)):
        raise ConfigError(f"{address.title} is at work; `trimtab controllers disable {address.title}` first")


def _unknown(address: Address) -> ConfigError:
    return ConfigError(f"there is no controller {address.title}; see `trimtab controllers list`")


def _place(each: Package | Broken) -> tuple[str, str, str]:
    return place_of(each.folder)


def _seat(each: Package | Broken, state: str, counted: list[TallyRow], quiet: str) -> Seat:
    bins = _bins(counted)
    problem = each.reason if isinstance(each, Broken) else ""
    answered = bins.total() - bins[ABSTAINED]
    return Seat(Address(*_place(each)), state, each.manifest, problem, quiet, answered, bins[ABSTAINED])


def _bins(counted: list[TallyRow]) -> Counter[int]:
    bins: Counter[int] = Counter()
    for row in counted:
        if row.option == WHOLE:
            bins[row.bin] += row.decided
    return bins


def _drift(manifest: Manifest | None, counted: list[TallyRow]) -> Drift | None:
    """Over all processes and both modes, since the version came to work."""
    if manifest is None or manifest.profile is None:
        return None
    bins = _bins(counted)
    return drift_of(manifest.profile, Profile(bins[ABSTAINED], tuple(bins[bin] for bin in range(BINS))))


def _line(row: TallyRow) -> Line:
    return Line(row.mode, row.option, bin_text(row.bin), row.decided, row.judged, row.agreed)
