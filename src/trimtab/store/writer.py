"""The group-commit writer: feeds the database from the journal, in batches, exactly once.

`append` is called on the event loop and returns when the record survives kill -9. Rows follow within
`apply_seconds`. While the database is away, records wait in the journal file, not in memory.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from trimtab.core import Clock, Entry, Hold, Release
from trimtab.core.errors import StoreUnavailable
from trimtab.store import meters, processes
from trimtab.store.apply import apply_records
from trimtab.store.database import Database
from trimtab.store.journal import Journal, Position, Record, read_chunk

_log = logging.getLogger(__name__)
_MOST_PENDING = 20_000
_RETRY_SECONDS = 0.5
_APPLY_SECONDS = 10.0
Work = Callable[[Connection], None]


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
        self._fence = Position()
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
        """After a beat was fenced: begin anew, unless that is done already. Raises StoreUnavailable."""
        async with self._turn:
            state = await self.database.run(lambda c: processes.state_of(c, self.process))
            if state.state == "dead":
                await self._begin_anew()

    async def apply_with(self, look: Callable[[], Work]) -> bool:
        """Run what `look` gives in one transaction with everything appended until `look` was called.

        False when there was no chance for it, because the database is far behind. Raises StoreUnavailable.
        """
        await self.flush()
        async with self._turn:
            upto = self.journal.position
            records, self._pending = self._pending, []
            if self._behind and self.applied < upto:
                return False
            if self._behind:
                self._behind, records = False, []
            return await self._commit(records, upto, look())

    def stop(self) -> None:
        """Let `run` end after the batch it is at; `flush` then brings in the rest."""
        self._wake.set()

    async def flush(self) -> None:
        """Bring the database up to everything appended so far. Raises StoreUnavailable."""
        end = self.journal.position
        while self.applied < end:
            await self._apply()

    @property
    def lag_bytes(self) -> int:
        """Journal bytes that are not in the database yet (of this segment, where older ones wait too)."""
        behind = self.applied.segment < self.journal.position.segment
        return self.journal.position.offset - (0 if behind else self.applied.offset)

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
        except Exception:
            # The task's edge: without it the process would go on serving with nobody feeding the database.
            _log.exception("records cannot be applied; they wait in %s", self.journal.folder)
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
        end = upto = self.journal.position
        records, self._pending = self._pending, []
        if self._behind:
            # What lies before the fence is charged in another way than what lies behind it.
            stop = self._fence if self.applied < self._fence else end
            records, upto = await asyncio.to_thread(read_chunk, self.journal.folder, self.applied, stop)
        if self.applied < upto:
            await self._commit(records, upto)
        elif not self._lagging():
            self._behind = False

    async def _commit(self, records: list[Record], upto: Position, then: Work | None = None) -> bool:
        """Whether it is done; if not, what is left stands in the journal. Raises StoreUnavailable."""
        late = self._late_among(records)
        start = self.applied

        def work(connection: Connection) -> None:
            now = self._clock.now()
            apply_records(connection, self.process, records, start, upto, now, late=late)
            if then is not None:
                then(connection)

        try:
            await self.database.run(work, _APPLY_SECONDS)
        except processes.Moved as moved:
            self._behind = True
            self._advance(moved.applied)
            return False
        except processes.Fenced:
            await self._begin_anew()
            return False
        except BaseException:
            self._behind = True
            raise
        if self._late:
            self._late.difference_update(r.id for r in records if isinstance(r, Entry | Release))
        self._advance(upto)
        return True

    def _late_among(self, records: list[Record]) -> set[str]:
        """Entries whose money was leased before we were given up for dead."""
        before = self.applied < self._fence
        if not (before or self._late):
            return set()
        return {r.id for r in records if isinstance(r, Entry) and (before or r.id in self._late)}

    def _advance(self, upto: Position) -> None:
        if upto.segment > self.applied.segment:
            self.journal.forget(upto)
        self.applied = upto
        if self._behind and not self._lagging():
            self._behind = False

    async def _begin_anew(self) -> None:
        """Another process thought us dead: our leases are gone, our open holds are charged as worst case.

        From this moment on money comes out of new leases; everything held or entered until now did not.
        """
        _log.warning("this process was silent for too long and was given up for dead; it begins anew")
        self.on_fenced()
        self._fence = self.journal.position
        self._late |= self._open
        self._behind = True

        def work(connection: Connection) -> None:
            meters.release_leases(connection, self.process)
            processes.rejoin(connection, self.process, self._clock.now())

        await self.database.run(work)
