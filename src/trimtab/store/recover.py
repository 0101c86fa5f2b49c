"""Finds what dead processes left behind: journals nobody owns, and processes that fell silent elsewhere."""

import logging
import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from trimtab.core import Entry
from trimtab.core.errors import ConfigError
from trimtab.store import processes
from trimtab.store.apply import apply_late, apply_records, bury
from trimtab.store.database import Database
from trimtab.store.journal import Position, Record, lock_folder, read_journal, remove_folder

_log = logging.getLogger(__name__)
_CHUNK = 2_000


def recover_journals(database: Database, root: Path, now: float) -> list[Entry]:
    """Replay every journal under `root` whose process is dead; its open holds become worst-case entries.

    Safe to run again after a crash in the middle, and by several processes at once (each journal is
    locked). Raises StoreUnavailable. Returns the worst-case entries made.
    """
    lines: list[Entry] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        lock = lock_folder(folder) if folder.is_dir() else None
        if lock is None:
            continue
        try:
            lines += _replay(database, folder, now)
            remove_folder(folder)
        finally:
            os.close(lock)
    return lines


def _replay(database: Database, folder: Path, now: float) -> list[Entry]:
    process = folder.name
    state = database.transact(lambda c: processes.state_of(c, process))
    if state.state == "unknown":
        _refuse_strange(folder)
        return []
    if state.state == "dead":
        late = [record for record, _ in read_journal(folder, state.applied)]
        database.transact(lambda c: apply_late(c, late, now))
        return []
    start = state.applied
    for records, upto in _chunks(folder, start):
        database.transact(partial(_apply, process=process, records=records, start=start, upto=upto, now=now))
        start = upto
    lines = database.transact(lambda c: bury(c, process, now))
    if lines:
        _log.warning("process %s died with %d open holds: charged as worst case", process, len(lines))
    return lines


def _refuse_strange(folder: Path) -> None:
    """A journal of a process this database never saw is another database's: not ours to delete."""
    if next(read_journal(folder, Position()), None) is not None:
        raise ConfigError(
            f"journal {folder} belongs to another database (or the database file was deleted); "
            "point [server] database at the old one, or move the folder away",
            key="server.database",
        )


def _apply(
    connection: Connection, process: str, records: list[Record], start: Position, upto: Position, now: float
) -> None:
    apply_records(connection, process, records, start, upto, now, checked=True)


def _chunks(folder: Path, start: Position) -> Iterator[tuple[list[Record], Position]]:
    pairs = read_journal(folder, start)
    while chunk := list(islice(pairs, _CHUNK)):
        yield [record for record, _ in chunk], chunk[-1][1]


def bury_silent(connection: Connection, before: float, now: float) -> list[Entry]:
    """Settle processes (on any machine) that have not been heard of since `before`."""
    lines: list[Entry] = []
    for process in processes.silent(connection, before):
        lines += bury(connection, process, now)
        _log.warning("process %s fell silent; it was given up for dead", process)
    return lines
