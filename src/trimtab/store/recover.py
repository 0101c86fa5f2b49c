"""Finds what dead processes left behind: journals nobody owns, and processes that fell silent elsewhere."""

import logging
import os
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from trimtab.core import Entry
from trimtab.core.errors import ConfigError
from trimtab.store import processes
from trimtab.store.apply import bury, replay_records
from trimtab.store.database import Database
from trimtab.store.journal import Position, lock_folder, read_chunk, read_journal, remove_folder

_log = logging.getLogger(__name__)


def recover_journals(database: Database, root: Path, now: float) -> list[Entry]:
    """Replay every journal under `root` whose process is dead; its open holds become worst-case entries.

    Safe to run again after a crash in the middle, and by several processes at once (each journal is
    locked). Returns the worst-case entries made. Raises StoreUnavailable, and ConfigError where, when all is
    done, journals of another database are left.
    """
    lines: list[Entry] = []
    strange: ConfigError | None = None
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        lock = lock_folder(folder) if folder.is_dir() and not folder.name.startswith(".") else None
        if lock is None:
            continue
        try:
            lines += _replay(database, folder, now)
            remove_folder(folder)
        except ConfigError as error:
            strange = strange or error
        finally:
            os.close(lock)
    if strange is not None:
        raise strange
    return lines


def _replay(database: Database, folder: Path, now: float) -> list[Entry]:
    process = folder.name
    state = database.transact(lambda c: processes.state_of(c, process))
    if state.state == "unknown":
        _refuse_strange(folder)
        return []
    start = state.applied
    while True:
        records, upto = read_chunk(folder, start)
        if not records:
            break
        database.transact(partial(replay_records, process=process, records=records, start=start, upto=upto))
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


def bury_silent(connection: Connection, process: str, beat_at: float, now: float) -> list[Entry]:
    """Settle a process (on any machine) whose last beat is still the one at `beat_at`."""
    if not processes.still_silent(connection, process, beat_at):
        return []
    _log.warning("process %s fell silent; it is given up for dead", process)
    return bury(connection, process, now)
