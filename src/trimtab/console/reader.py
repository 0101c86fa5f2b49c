"""What the pages read of the store: in two threads of their own, so that a busy console never holds up the ledger.

What is read for everybody alike is kept for a moment and shared between tabs.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database

T = TypeVar("T")
_SECONDS = 10.0
_MOST_KEPT = 256
# Between looks at the clock SQLite does so many steps: about a millisecond's.
_STEPS = 20_000


class Reader:
    """Constructed by the console."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="console")
        self._kept: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work`, which only reads, finds on one snapshot; its statements are cut off after ten seconds. Raises
        StoreUnavailable."""
        return await self.run(lambda: self._database.read(lambda connection: _hurried(connection, work)))

    async def run(self, work: Callable[[], T]) -> T:
        """What blocking work comes to, in one of the threads. Raises StoreUnavailable after ten seconds."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            raise StoreUnavailable(f"the database gave no answer within {_SECONDS:g} s") from error

    async def kept(self, key: Hashable, seconds: float, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` came to within the last `seconds`, made once for all who ask at once. Small
        things only."""
        now = time.monotonic()
        known = self._kept.get(key)
        if known is None or now >= known[0] or _failed(known[1]):
            self._kept = {name: each for name, each in self._kept.items() if now < each[0]}
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            known = self._kept[key] = (now + seconds, asyncio.ensure_future(make()))
        made: T = await asyncio.shield(known[1])
        return made

    def close(self) -> None:
        """Leave the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hurried(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Nobody waits for a page longer than this."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = '{int(_SECONDS)}s'"))
        return work(connection)
    until = time.monotonic() + _SECONDS
    line = connection.connection.dbapi_connection
    assert isinstance(line, sqlite3.Connection)
    line.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        return work(connection)
    finally:
        line.set_progress_handler(None, 0)


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
