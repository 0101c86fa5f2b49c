"""The durable engine under the legs of runs: DBOS, with a database of its own beside ours (SQLite) or a schema in it
(PostgreSQL). Only its public functions are used; a process has one engine at a time, as DBOS has it."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID, error
from sqlalchemy.engine import URL

from trimtab.core.errors import StoreUnavailable

SQLITE_FILE = "dbos.sqlite"
_APPLICATION = "trimtab"
_LEG = "leg"
_OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_MOST_OPEN = 10_000
# Legs are ours to take over, never DBOS's: all processes of a house count as one version.
_VERSION = "legs-1"
_PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL")
_SCHEDULER_SECONDS = 3600.0
# We send no notifications; its listener only holds up the end of the process by as much.
_LISTENER_SECONDS = 0.2
_PG_CONNECTIONS = 5
_MOST_THREADS = 16
_log = logging.getLogger("dbos")

Drive = Callable[[str, int], Awaitable[str]]


class Engine:
    """Constructed by `app/`. A leg is the workflow `{run}:{claim}`; its body drives the graph."""

    def __init__(self, url: URL, folder: Path, worker: str) -> None:
        self._url, self._folder, self._worker = url, folder, worker
        self._leg: Any = None
        self._ends: set[asyncio.Task[None]] = set()

    def launch(self, drive: Drive) -> None:
        """Begin; `drive` is what a leg does. Call it on the loop that shall drive. Raises StoreUnavailable."""
        if not _log.handlers:
            _log.addHandler(_Onward())
        DBOS(config=self._config())

        @DBOS.workflow(name=_LEG)
        async def leg(run: str, claim: int) -> str:
            # Out of DBOS's context: its decorated functions, called in a node, are plain functions there.
            return await asyncio.get_running_loop().create_task(_of(drive(run, claim)), context=Context())

        self._leg = leg
        try:
            DBOS.launch()
        except sa.exc.OperationalError as away:
            raise StoreUnavailable(f"the durable engine's database does not answer: {away.orig}") from away

    async def begin(self, run: str, claim: int) -> None:
        """Start a leg."""
        with SetWorkflowID(f"{run}:{claim}"):
            handle = await DBOS.start_workflow_async(self._leg, run, claim)
        end = asyncio.get_running_loop().create_task(_ended(handle))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def write_off(self, run: str, claim: int) -> None:
        """Note that a leg was given up with its worker."""
        await DBOS.cancel_workflows_async([f"{run}:{claim}"])

    async def forget(self, before: float, living: Collection[str], most: int) -> int:
        """Delete up to `most` legs that were over before a moment (epoch seconds), and of those begun before it the
        ones that nobody will end, their worker not being among the `living`; returns how many."""
        moment = datetime.fromtimestamp(before, UTC).isoformat()
        named: dict[str, Any] = {"name": _LEG, "load_input": False, "load_output": False}
        over = await DBOS.list_workflows_async(status=_OVER, completed_before=moment, limit=most, **named)
        open_ = await DBOS.list_workflows_async(status="PENDING", end_time=moment, limit=_MOST_OPEN, **named)
        left = [leg for leg in open_ if leg.executor_id not in living][:most]
        ids = [leg.workflow_id for leg in (*over, *left)]
        if ids:
            await DBOS.delete_workflows_async(ids)
        return len(ids)

    async def close(self, seconds: float) -> None:
        """End, once the legs that were begun have noted their outcome, at the latest after `seconds`."""
        if self._ends:
            await asyncio.wait(self._ends, timeout=seconds)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as own:
            await loop.run_in_executor(own, lambda: DBOS.destroy(destroy_registry=True))
        # DBOS made its own threads the loop's default ones, and has shut them down.
        loop.set_default_executor(ThreadPoolExecutor())

    def _config(self) -> DBOSConfig:
        config: DBOSConfig = {
            "name": _APPLICATION,
            "executor_id": self._worker,
            "application_version": _VERSION,
            "log_level": "ERROR",
            "enable_otlp": False,
            "max_executor_threads": _MOST_THREADS,
            "scheduler_polling_interval_sec": _SCHEDULER_SECONDS,
            "notification_listener_polling_interval_sec": _LISTENER_SECONDS,
        }
        if self._url.get_backend_name() == "sqlite":
            file = self._folder / SQLITE_FILE
            config["system_database_url"] = f"sqlite:///{file.resolve()}"
            config["system_database_engine"] = _sqlite_engine(file)
        else:
            plain = self._url.set(drivername="postgresql")
            config["system_database_url"] = plain.render_as_string(hide_password=False)
            config["sys_db_pool_size"] = _PG_CONNECTIONS
        return config


class _Onward(logging.Handler):
    """Hands DBOS's log lines to ours: it would write to the console itself otherwise."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one on; but that a leg was written off while its process slept is said by the host already."""
        if record.exc_info and record.exc_info[0] is error.DBOSAwaitedWorkflowCancelledError:
            return
        logging.getLogger("trimtab.dbos").handle(record)


async def _of(work: Awaitable[str]) -> str:
    return await work


async def _ended(handle: Any) -> None:  # noqa: ANN401 - DBOS's own
    # A leg that was written off elsewhere ends in an error of DBOS's; the run is not ours any more then.
    with suppress(Exception):
        await handle.get_result()


def _sqlite_engine(file: Path) -> sa.Engine:
    """DBOS leaves the file out of WAL mode, in which every small commit waits for the disk."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    engine = sa.create_engine(f"sqlite:///{file.resolve()}", pool_size=_MOST_THREADS, max_overflow=0)
    sa.event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
