"""Opens the database (SQLite file or PostgreSQL) and is the one door through which blocking work enters.

Everything here raises `StoreUnavailable` when the database does not answer; nothing else leaks out.
"""

import asyncio
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.store.line import CONNECT_SECONDS, POSTGRES_TERMS, speaks

T = TypeVar("T")
SQLITE_FILE = "trimtab.sqlite"
_BUSY_SECONDS = 10
_ANSWER_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_SURE_SECONDS = 1.0
_REPORT_SECONDS = 600
_SNAPSHOT = {"trimtab_reads": True}
_PG_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def url_of(database: str, data: Path) -> URL:
    """`sqlite` -> the file in `data`; a postgresql:// URL -> the same with the psycopg driver."""
    if database == "sqlite":
        return URL.create("sqlite", database=str(data / SQLITE_FILE))
    try:
        url = make_url(database)
    except Exception as error:
        raise ConfigError(f"not a database URL: {error}", key="server.database") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigError("expected `sqlite` or a postgresql:// URL", key="server.database")
    return url.set(drivername="postgresql+psycopg")


class Database:
    """An engine and three threads: `run` executes a function in one transaction, off the event loop.

    `synchronous` is SQLite's: at NORMAL, transactions survive the process; at FULL, power loss too.
    """

    def __init__(self, url: URL, synchronous: Literal["NORMAL", "FULL"] = "NORMAL") -> None:
        self.url = url
        self.engine = _engine(url, synchronous)
        self._connections: dict[int, DBAPIConnection] = {}
        self._inode: int | None = None
        if self.sqlite:
            event.listen(self.engine, "connect", self._note_file)
        else:
            event.listen(self.engine, "connect", self._note_open)
            event.listen(self.engine, "close", self._note_closed)
        self._reader = self.engine.execution_options(**(_SNAPSHOT if self.sqlite else _PG_SNAPSHOT))
        self._threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="store")

    @property
    def sqlite(self) -> bool:
        """True for the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction in this thread. Raises StoreUnavailable."""
        self._require_file()
        with _answering(), self.engine.begin() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, on one snapshot in this thread; no writer waits for it.

        Meant for reports, which may take minutes. Raises StoreUnavailable.
        """
        with _answering(), self._reader.begin() as connection:
            if not self.sqlite:
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_REPORT_SECONDS}s'")
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            return work(connection)

    async def run(self, work: Callable[[Connection], T], seconds: float = _ANSWER_SECONDS) -> T:
        """`transact` in a store thread. Raises StoreUnavailable, after `seconds` without an answer too.

        Then, as after a lost connection, the work may have been done. But it is not begun any more, nor, if it
        was, committed: only a commit already under way may get through, before the rows it locks are free.
        """
        given_up = threading.Event()

        def guarded(connection: Connection) -> T:
            done = work(connection)
            if given_up.is_set():
                raise StoreUnavailable("nobody waits for this transaction any more")
            return done

        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self.transact, guarded)
        except TimeoutError as error:
            raise StoreUnavailable(f"the database gave no answer within {seconds:g} s") from error
        finally:
            given_up.set()

    def close(self) -> None:
        """Finish what is begun and give all connections back. What has no answer after five seconds is cut off."""
        cut = threading.Timer(_CLOSE_SECONDS, self._cut_off)
        cut.start()
        self._threads.shutdown(wait=True, cancel_futures=True)
        cut.cancel()
        self.engine.dispose()

    def _require_file(self) -> None:
        """What is written to a file that was deleted is lost without a word. Raises StoreUnavailable."""
        if self._inode is not None and _inode(self.url.database) != self._inode:
            raise StoreUnavailable(f"{self.url.database} was removed or replaced; start this process anew")

    def _note_file(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        if self._inode is None:
            self._inode = _inode(self.url.database)

    def _note_open(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        self._connections[id(connection)] = connection

    def _note_closed(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        self._connections.pop(id(connection), None)

    def _cut_off(self) -> None:
        """A thread that waits for a frozen database would wait for ever, and the process with it."""
        for connection in list(self._connections.values()):
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)


def _inode(file: str | None) -> int | None:
    try:
        return os.stat(file or "").st_ino
    except FileNotFoundError:
        return None


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(f"the database does not answer: {_reason(error)}") from error
    except NoConnection as error:
        raise StoreUnavailable("all connections to the database are taken") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(f"the database connection was lost: {_reason(error)}") from error
        raise


def _reason(error: DBAPIError) -> str:
    text = str(error.orig).strip() or type(error.orig).__name__
    return text.splitlines()[0]


def _engine(url: URL, synchronous: str) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, pool_use_lifo=True, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
        )
        event.listen(engine, "connect", partial(_tune_sqlite, synchronous))
        event.listen(engine, "begin", _begin)
        return engine
    engine = create_engine(
        url,
        pool_size=4,
        max_overflow=4,
        pool_timeout=CONNECT_SECONDS,
        pool_use_lifo=True,
        connect_args=POSTGRES_TERMS,
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_require_line, engine))
    return engine


def _note_use(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _require_line(
    engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
) -> None:
    """Ask a connection whether it is alive before it is lent: not for every use, which would be a round trip each."""
    if time.monotonic() - record.info.get("used", 0.0) < _SURE_SECONDS and not speaks(connection.fileno()):
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def _tune_sqlite(synchronous: str, connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "temp_store=MEMORY",
        "cache_size=-16000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes its turn at once, so that it never has to give up half way; a reader takes none."""
    reads = connection.get_execution_options().get("trimtab_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
