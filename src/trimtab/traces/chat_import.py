"""Recorded runs from a file into the store: runs, calls, entries, outcomes. Importing again changes nothing.

A line that cannot be read is reported and passed over. Imported entries are charged to no budget.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from trimtab.core import Entry, OutcomeRecord
from trimtab.core.errors import DataError
from trimtab.store import Database, EndRecord, calls, entries, runs, sums
from trimtab.traces.chat_line import ChatLine
from trimtab.traces.chat_records import IMPORTED, RecordedRun, recorded_run
from trimtab.traces.lines import LineReader

_decode = msgspec.json.Decoder(ChatLine).decode
_CHUNK_LINES, _CHUNK_BYTES = 100, 4 * 1024 * 1024
_DEFAULT_TENANT = "default"


class ImportReport(msgspec.Struct):
    """What came of an import. `known` lines were here before, imported or served by this very house;
    `errors` say file, line, field and remedy."""

    lines: int = 0
    runs: int = 0
    calls: int = 0
    entries: int = 0
    known: int = 0
    errors: list[str] = []


class _Item(msgspec.Struct):
    line: ChatLine
    told: RecordedRun


class Importer:
    """Reads files into a database. `tenant` wins over what lines say; `now` dates lines without a time."""

    def __init__(self, database: Database, tenant: str | None, now: float) -> None:
        self._database, self._tenant, self._now = database, tenant, now
        self._seen: set[tuple[str, str]] = set()

    def read(self, path: Path, progress: Callable[[int, int], None] = lambda *_: None) -> ImportReport:
        """Import a file; `progress` is told bytes read and bytes in all. Raises StoreUnavailable."""
        report = ImportReport()
        reader = LineReader(path)
        chunk: list[_Item] = []
        size = 0
        try:
            for number, line in reader:
                report.lines += 1
                size += len(line)
                self._take(path, number, line, chunk, report)
                if len(chunk) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
                    self._keep(chunk, report)
                    chunk, size = [], 0
                    progress(reader.read_bytes, reader.total_bytes)
        except DataError as error:
            report.errors.append(str(error))
        self._keep(chunk, report)
        progress(reader.total_bytes, reader.total_bytes)
        report.runs = len(self._seen)
        return report

    def _take(self, path: Path, number: int, line: bytes, chunk: list[_Item], report: ImportReport) -> None:
        if not line.strip():
            report.lines -= 1
            return
        try:
            read = read_line(line, str(path), number)
        except DataError as error:
            report.errors.append(str(error))
            return
        tenant = self._tenant or read.tenant or _DEFAULT_TENANT
        chunk.append(_Item(read, recorded_run(read, tenant, self._now)))

    def _keep(self, chunk: list[_Item], report: ImportReport) -> None:
        if chunk:
            new = self._database.transact(lambda connection: _insert(connection, chunk))
            report.known += len(chunk) - len(new)
            for item in new:
                report.calls += len(item.told.calls)
                report.entries += len(item.told.entries)
                self._seen.add((item.told.who.tenant, item.told.who.run))


def read_line(line: bytes, file: str, number: int) -> ChatLine:
    """One line of a file. Raises DataError."""
    try:
        read = _decode(line)
        for text in (read.run, read.agent, read.domain, read.task):
            text.encode()
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        remedy = "mend this line or export it again; the other lines are not affected"
        field = place.strip("`").removeprefix("$.") or "the line"
        raise DataError(problem, file=file, line=number, field=field, remedy=remedy) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        remedy = "each line must be one whole JSON object in UTF-8"
        raise DataError(f"not JSON: {error}", file=file, line=number, remedy=remedy) from error
    return read


def _insert(connection: Connection, chunk: Iterable[_Item]) -> list[_Item]:
    """Store those lines that are not here; returns them."""
    new: list[_Item] = []
    added: list[Entry] = []
    for item in chunk:
        if not _is_known(connection, item.told):
            added += _insert_one(connection, item)
            new.append(item)
    sums.add(connection, [call for item in new for call in item.told.calls], added)
    # The ledger outlives traces: of a run that was here before, entries may stand that are not added again.
    runs.sum_up(connection, sorted({(item.told.who.tenant, item.told.who.run) for item in new}))
    return new


def _is_known(connection: Connection, told: RecordedRun) -> bool:
    tenant, run = told.who.tenant, told.who.run
    if not runs.exists(connection, tenant, run):
        # The ledger outlives traces: money that stands in it must not be entered a second time.
        return entries.any_not_named(connection, tenant, run, IMPORTED)
    if told.calls and calls.which_exist(connection, [told.calls[0].call.id]):
        return True
    if told.entries and entries.which_exist(connection, [told.entries[0].id]):
        return True
    served = calls.any_not_named(connection, tenant, run, IMPORTED)
    return served or entries.any_not_named(connection, tenant, run, IMPORTED) or _is_bare(told)


def _is_bare(told: RecordedRun) -> bool:
    """A line of which only the run itself can be known."""
    return not told.calls and not told.entries


def _insert_one(connection: Connection, item: _Item) -> list[Entry]:
    """The entries that are new."""
    line, told = item.line, item.told
    who = told.who
    runs.lay(connection, who, told.started_at, told.last_at)
    calls.insert_calls(connection, told.calls)
    added = entries.insert_new_entries(connection, told.entries)
    if line.reward is not None:
        by, reason = line.outcome_by or "", line.outcome_reason or ""
        outcome = OutcomeRecord(who.tenant, who.run, told.last_at, line.reward, by, reason)
        runs.record_outcomes(connection, [outcome])
    if line.end:
        runs.end(connection, [EndRecord(who.tenant, who.run, told.last_at)])
    return added
