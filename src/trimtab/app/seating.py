"""What people do with controllers: see what there is, put a version to work, take it off. Each change is audited."""

from collections import Counter
from typing import get_args

import msgspec
from sqlalchemy import Connection

from trimtab.app.store import controller_folder
from trimtab.config import Settings
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
    """A version as it stands. `manifest` None: `problem` says why it cannot be read."""

    address: Address
    state: str
    manifest: Manifest | None
    problem: str = ""
    answered: int = 0
    abstained: int = 0


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


class Seating:
    """Constructed for one command."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.registry = Registry(controller_folder(settings))
        self._database, self._clock = database, clock

    def seats(self) -> list[Seat]:
        """Everything that is in the registry or at work."""
        rows, counted = self._database.read(lambda c: (controllers.at_work(c), tallies.everything(c)))
        states = {(row.workflow, row.kind, row.version): row.state for row in rows}
        found: list[Seat] = []
        for each in self.registry.list():
            place = _place(each)
            found.append(
                _seat(each, states.pop(place, "disabled"), [row for row in counted if _of(row) == place])
            )
        for place, state in states.items():
            folder = self.registry.folder(*place)
            found.append(Seat(Address(*place), state, None, f"{folder}: the folder is missing"))
        return found

    def portrait(self, address: Address) -> Portrait:
        """All of one version; its files are verified. Raises ConfigError where there is none."""
        address = self.newest(address)
        seat = next((seat for seat in self.seats() if seat.address == address), None)
        if seat is None:
            raise _unknown(address)
        if seat.manifest is not None:
            try:
                self.registry.open(address.workflow, address.kind, address.version)
            except DataError as error:
                seat = msgspec.structs.replace(seat, problem=str(error))
        counted, events = self._database.read(
            lambda c: (
                tallies.of_kind(c, address.workflow, address.kind, address.version),
                controllers.events(c, address.workflow, address.kind),
            )
        )
        mine = tuple(event for event in events if event.version == address.version)
        return Portrait(seat, _drift(seat.manifest, counted), tuple(_line(row) for row in counted), mine)

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
        action: ControllerAction = "enabled" if state == "enabled" else "shadowed"
        event = self._event(
            address, action, by, forced=forced and not passed, report=report.digest if report else ""
        )

        def work(connection: Connection) -> None:
            controllers.set_to_work(connection, row)
            controllers.note(connection, event)

        self._database.transact(work)
        return address

    def lay_off(self, address: Address, by: str) -> int:
        """Disable a version, or all of the kind where none is named. Returns how many were at work."""

        def work(connection: Connection) -> int:
            count = controllers.lay_off(connection, address.workflow, address.kind, address.version)
            if count:
                controllers.note(connection, self._event(address, "disabled", by))
            return count

        return self._database.transact(work)

    def delete(self, address: Address, by: str) -> None:
        """Delete a version that is not at work, with its counts. Raises ConfigError, DataError."""
        if not address.version:
            raise ConfigError(
                "name the version to delete: WORKFLOW/KIND@VERSION (see `trimtab controllers list`)"
            )
        self.newest(address)
        place = (address.workflow, address.kind, address.version)
        rows = self._database.read(controllers.at_work)
        if any((row.workflow, row.kind, row.version) == place for row in rows):
            raise ConfigError(
                f"{address.title} is at work; `trimtab controllers disable {address.title}` first"
            )
        if not self.registry.delete(*place):
            raise _unknown(address)

        def work(connection: Connection) -> None:
            tallies.forget(connection, *place)
            controllers.note(connection, self._event(address, "deleted", by))

        self._database.transact(work)

    def newest(self, address: Address) -> Address:
        """With a version: the one named, else the newest there is. Raises ConfigError."""
        versions = self.registry.versions(address.workflow, address.kind)
        if not versions or (address.version and address.version not in versions):
            raise _unknown(address)
        return address if address.version else msgspec.structs.replace(address, version=versions[-1])

    def _event(
        self, address: Address, action: ControllerAction, by: str, *, forced: bool = False, report: str = ""
    ) -> EventRow:
        now = self._clock.now()
        return EventRow(
            IdSource().new(now),
            now,
            by,
            action,
            address.workflow,
            address.kind,
            address.version,
            forced,
            report,
        )


def _unknown(address: Address) -> ConfigError:
    return ConfigError(f"there is no controller {address.title}; see `trimtab controllers list`")


def _place(each: Package | Broken) -> tuple[str, str, str]:
    return place_of(each.folder)


def _of(row: TallyRow) -> tuple[str, str, str]:
    return (row.workflow, row.kind, row.version)


def _seat(each: Package | Broken, state: str, counted: list[TallyRow]) -> Seat:
    bins = _bins(counted)
    address = Address(*_place(each))
    answered = bins.total() - bins[ABSTAINED]
    manifest = each.manifest if isinstance(each, Package) else None
    problem = each.reason if isinstance(each, Broken) else ""
    return Seat(address, state, manifest, problem, answered, bins[ABSTAINED])


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
