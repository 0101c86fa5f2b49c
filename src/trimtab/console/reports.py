"""Evaluation reports that lie in a folder, as `trimtab evaluate --out` writes them: read, and told apart from what is
none. Nothing in a report is believed to be more than text and figures.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from trimtab.evaluation import Interval, Line, Report

_FILE = "report.json"
_MOST_FILES = 100
_MOST_BYTES = 4 << 20


class KeptReport(msgspec.Struct, frozen=True):
    """A report and the name it goes by: its folder's, or its file's."""

    name: str
    report: Report


class Fault(msgspec.Struct, frozen=True):
    """A file that cannot be shown, and why."""

    name: str
    said: str


class Shelf(msgspec.Struct, frozen=True):
    """What lies there: reports that compare policies by name, those with faults, and how many compare none; `more`: not
    all files were read."""

    reports: tuple[KeptReport, ...] = ()
    faults: tuple[Fault, ...] = ()
    others: int = 0
    more: bool = False

    def find(self, name: str) -> KeptReport | None:
        """The report of this name."""
        return next((each for each in self.reports if each.name == name), None)


def read_shelf(folder: Path) -> Shelf:
    """Read it; a folder that is not there is empty."""
    try:
        files = sorted(_files(folder))
    except OSError as error:
        return Shelf(faults=(Fault(folder.name, f"cannot be read: {error.strerror}"),))
    reports, faults, others = [], [], 0
    for name, file in files[:_MOST_FILES]:
        found = _read(file)
        if isinstance(found, str):
            faults.append(Fault(name, found))
        elif found.lines:
            reports.append(KeptReport(name, found))
        else:
            others += 1
    return Shelf(tuple(reports), tuple(faults), others, len(files) > _MOST_FILES)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        if place.suffix == ".json" and place.is_file():
            yield place.stem, place
        elif (place / _FILE).is_file():
            yield place.name, place / _FILE


def _read(file: Path) -> Report | str:
    """The report, or what is wrong with the file."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return f"is larger than {_MOST_BYTES >> 20} MiB"
        found = msgspec.json.decode(file.read_bytes(), type=Report)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"is no evaluation report: {error}"
    strange = next((line.name for line in found.lines if not _is_sound(line)), None)
    return found if strange is None else f"the line {strange[:60]!r} has a share or a cost that cannot be"


def _is_sound(line: Line) -> bool:
    told, cost = line.completions, line.cost_per_completed
    return 0 <= told.low <= told.value <= 1 and (cost is None or _is_cost(cost)) and _is_cost(line.cost)


def _is_cost(cost: Interval) -> bool:
    return 0 <= cost.low <= cost.value < 1e12
