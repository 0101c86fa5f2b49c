"""What the registry and the store know of packaged controllers: each version, its state, its counts, its fault.

Reading blocks: pages call it in one of the reader's threads.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from trimtab.controllers import ABSTAINED, WHOLE, Broken, Manifest, Package, PackedFile, Registry, place_of
from trimtab.core.errors import DataError
from trimtab.store import EventRow, StateRow, TallyRow, controllers, tallies

Spot = tuple[str, str, str]
"""Workflow, kind and version."""


class Version(msgspec.Struct, frozen=True):
    """A version as it stands. `fault` says what is damaged, and then `manifest` may be None; `judged` of its decisions
    could be held against what the model did, `agreed` were the same."""

    spot: Spot
    state: str
    manifest: Manifest | None
    fault: str
    since: float | None = None
    by: str = ""
    answered: int = 0
    abstained: int = 0
    judged: int = 0
    agreed: int = 0

    @property
    def title(self) -> str:
        """As commands name it."""
        workflow, kind, version = self.spot
        return f"{workflow}/{kind}@{version}"


class Tallies(msgspec.Struct, frozen=True):
    """What the store knows of one version."""

    rows: list[TallyRow]
    events: list[EventRow]


def read_versions(root: Path, states: Sequence[StateRow], counted: Sequence[TallyRow]) -> list[Version]:
    """All that are in the registry or at work, by workflow and kind, the newest first. Files are held against their
    sizes, not their hashes: `fault_of` does that."""
    at_work = {(row.workflow, row.kind, row.version): row for row in states}
    by_spot: dict[Spot, list[TallyRow]] = {}
    for row in counted:
        by_spot.setdefault((row.workflow, row.kind, row.version), []).append(row)
    registry = Registry(root)
    found = {place_of(each.folder): each for each in registry.list()}
    versions = [
        _version(spot, each, _size_fault(registry, each), at_work.get(spot), by_spot)
        for spot, each in found.items()
    ]
    versions += [
        _version(spot, None, "its folder is missing", row, by_spot)
        for spot, row in at_work.items()
        if spot not in found
    ]
    # Both sorts are stable: within a kind the newest version comes first.
    versions.sort(key=lambda each: each.spot[2], reverse=True)
    return sorted(versions, key=lambda each: each.spot[:2])


def read_tallies(connection: Connection, spot: Spot) -> Tallies:
    """Counts and changes of one version."""
    workflow, kind, version = spot
    events = [row for row in controllers.events(connection, workflow, kind) if row.version == version]
    return Tallies(tallies.of_kind(connection, workflow, kind, version), events)


def read_states(connection: Connection) -> tuple[list[StateRow], list[TallyRow]]:
    """Who is at work, and all counts."""
    return controllers.at_work(connection), tallies.everything(connection)


def fault_of(root: Path, spot: Spot) -> str:
    """What is damaged of a version that is there, by the hashes of its files; '' where nothing is."""
    try:
        Registry(root).open(*spot)
    except DataError as error:
        return str(error)
    return ""


def _version(
    spot: Spot,
    each: Package | Broken | None,
    fault: str,
    row: StateRow | None,
    by_spot: Mapping[Spot, Sequence[TallyRow]],
) -> Version:
    whole = [row for row in by_spot.get(spot, ()) if row.option == WHOLE]
    decided: Counter[bool] = Counter()
    for count in whole:
        decided[count.bin == ABSTAINED] += count.decided
    return Version(
        spot=spot,
        state="disabled" if row is None else row.state,
        manifest=None if each is None else each.manifest,
        fault=fault,
        since=None if row is None else row.since,
        by="" if row is None else row.by,
        answered=decided[False],
        abstained=decided[True],
        judged=sum(count.judged for count in whole),
        agreed=sum(count.agreed for count in whole),
    )


def _size_fault(registry: Registry, each: Package | Broken) -> str:
    if isinstance(each, Broken):
        return each.reason
    return _odd(each.folder, each.manifest.files) or _odd(registry.shared, each.manifest.shared)


def _odd(root: Path, files: Sequence[PackedFile]) -> str:
    for file in files:
        try:
            size = (root / file.path).stat().st_size
        except OSError:
            return f"{root / file.path}: the file is missing"
        if size != file.bytes:
            return f"{root / file.path}: is not what was packed (its size differs)"
    return ""
