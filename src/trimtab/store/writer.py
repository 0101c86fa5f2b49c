"""The group-commit writer: feeds the database from the journal, in batches, exactly once.

`append` is called on the event loop and returns when the record survives kill -9. Rows follow within
`apply_seconds`. While the database is away, records wait in the journal file, not in memory.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from itertools import islice

from sqlalchemy import Connection

from trimtab.core import Clock, Entry, Hold, Release
from trimtab.core.errors import StoreUnavailable
from trimtab.store import processes
from trimtab.store.apply import apply_late, apply_records
from trimtab.store.database import Database
from trimtab.store.journal import Journal, Position, Record, read_journal

_log = logging.getLogger(__name__)
_MOST_PENDING = 20_000
_CHUNK = 2_000
_RETRY_SECONDS = 0.5


class Writer:
    """One per process. `run` is its task; `on_fenced` is told when our leases were taken away."""

    def __init__(
        self, database: Database, journal: Journal, process: str, clock: Clock, apply_seconds: float
    ) -> None:
        self.database, self.journal, self.process = database, journal, process
        self._clock, self._apply_seconds = clock, apply_seconds
        self._pending: list[Record] = []
        self._behind = False
        self._open: set[str] = set()
        self._late: set[str] = set()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self.applied = journal.position
        self.available = True
        self.on_fenced: Callable[[], None] = lambda: None

    def append(self, record: Record) -> None:
        """Make a record durable and queue it for the database. Raises OSError when the disk is full."""
        self.journal.append(record)
        if isinstance(record, Hold):
            self._open.add(record.id)
        elif isinstance(record, Entry | Release):
            self._open.discard(record.id)
        if self._behind:
            return
        self._pending.append(record)
        if len(self._pending) >= _MOST_PENDING:
            self._pending.clear()
            self._behind = True

    async def run(self) -> None:
        """Apply until `stop`."""
        while not self._wake.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._apply_seconds)
            if self._lagging() and not await self._try_apply():
                await asyncio.sleep(_RETRY_SECONDS)

    async def rejoin(self) -> None:
        """After a beat was fenced: bring in what we have and begin anew. Raises StoreUnavailable."""
        async with self._turn:
            if self._behind:
                await self._apply_next()
                return
            records, self._pending = self._pending, []
            upto = self.journal.position
            try:
                await self._rejoin(records, upto)
            except BaseException:
                self._behind = True
                raise
            self._advance(upto)

    def stop(self) -> None:
        """Let `run` end after the batch it is at; `flush` then brings in the rest."""
        self._wake.set()

    async def flush(self) -> None:
        """Bring the database up to everything appended so far. Raises StoreUnavailable."""
        while self._lagging():
            await self._apply()

    def _lagging(self) -> bool:
        return self.applied < self.journal.position

    async def _try_apply(self) -> bool:
        try:
            await self._apply()
        except StoreUnavailable as error:
            if self.available:
                _log.warning("%s; records wait in %s", error, self.journal.folder)
            self.available = False
            return False
        if not self.available:
            _log.warning("the database is back; catching up")
        self.available = True
        return True

    async def _apply(self) -> None:
        async with self._turn:
            await self._apply_next()

    async def _apply_next(self) -> None:
        upto = self.journal.position
        records, self._pending = self._pending, []
        if self._behind:
            records, upto = await asyncio.to_thread(self._read_chunk)
        if not records:
            self._behind = self._behind and self._lagging()
            return
        try:
            await self._commit(records, upto)
        except processes.Moved as moved:
            self._behind = True
            upto = moved.applied
        except BaseException:
            self._behind = True
            raise
        self._advance(upto)

    async def _commit(self, records: list[Record], upto: Position) -> None:
        try:
            await self.database.run(lambda connection: self._apply_in(connection, records, upto))
        except processes.Fenced:
            await self._rejoin(records, upto)

    def _apply_in(self, connection: Connection, records: list[Record], upto: Position) -> None:
        now = self._clock.now()
        apply_records(connection, self.process, records, self.applied, upto, now, late=self._late)

    def _advance(self, upto: Position) -> None:
        if upto.segment > self.applied.segment:
            self.journal.forget(upto)
        self.applied = upto
        if self._behind and not self._lagging():
            self._behind = False

    def _read_chunk(self) -> tuple[list[Record], Position]:
        pairs = list(islice(read_journal(self.journal.folder, self.applied), _CHUNK))
        return [record for record, _ in pairs], pairs[-1][1] if pairs else self.applied

    async def _rejoin(self, records: list[Record], upto: Position) -> None:
        """Another process thought us dead: our leases are gone, our open holds are charged as worst case."""
        _log.warning("this process was silent for too long and was given up for dead; it begins anew")
        self._late |= self._open | {r.id for r in records if isinstance(r, Hold)}

        def work(connection: Connection) -> None:
            now = self._clock.now()
            apply_late(connection, records, now)
            processes.rejoin(connection, self.process, upto, now)

        self.on_fenced()
        await self.database.run(work)
