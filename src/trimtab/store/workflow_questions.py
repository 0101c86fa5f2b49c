"""The inbox: what runs that wait have asked of people. A question is answered once; the answer stays."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import question as table

QuestionState = Literal["open", "answered", "withdrawn"]


class QuestionRow(msgspec.Struct, frozen=True):
    """One `interrupt()`, by LangGraph's id of it. `value` and `answer` are JSON; times are epoch seconds."""

    run: str
    id: str
    tenant: str
    workflow: str
    asked_at: float
    asked_of: str
    due_at: float | None
    escalate_to: str
    value: bytes
    state: QuestionState = "open"
    answer: bytes | None = None
    answered_at: float | None = None
    answered_by: str = ""


def ask(connection: Connection, rows: Sequence[QuestionRow]) -> None:
    """Put questions into the inbox; one that stands there already stays as it is."""
    if rows:
        insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
        connection.execute(insert.on_conflict_do_nothing(), [msgspec.structs.asdict(row) for row in rows])


def answer(connection: Connection, run: str, id: str, value: bytes, by: str, now: float) -> bool:
    """Answer an open question; False where it is not open (any more)."""
    mine = (table.c.run == run) & (table.c.id == id) & (table.c.state == "open")
    values = {"state": "answered", "answer": value, "answered_at": now, "answered_by": by}
    return connection.execute(update(table).where(mine).values(values)).rowcount == 1


def withdraw(connection: Connection, run: str) -> None:
    """The run is over: what it still asked needs no answer."""
    mine = (table.c.run == run) & (table.c.state == "open")
    connection.execute(update(table).where(mine).values(state="withdrawn"))


def find(connection: Connection, run: str, id: str) -> QuestionRow | None:
    """A question."""
    row = connection.execute(select(table).where(table.c.run == run, table.c.id == id)).first()
    return None if row is None else QuestionRow(**row._mapping)


def answers(connection: Connection, run: str) -> dict[str, bytes]:
    """Every answer that was given to a run, by question."""
    mine = (table.c.run == run) & (table.c.state == "answered")
    rows = connection.execute(select(table.c.id, table.c.answer).where(mine))
    return {row.id: row.answer for row in rows}


def open_count(connection: Connection, run: str) -> int:
    """How many questions of a run wait for an answer."""
    mine = (table.c.run == run) & (table.c.state == "open")
    return connection.scalar(select(func.count()).select_from(table).where(mine)) or 0


def open_of_run(connection: Connection, run: str) -> list[QuestionRow]:
    """A run's open questions."""
    mine = select(table).where(table.c.run == run, table.c.state == "open")
    return [QuestionRow(**row._mapping) for row in connection.execute(mine.order_by(table.c.id))]


def open_of(connection: Connection, tenant: str, limit: int) -> list[QuestionRow]:
    """A tenant's open questions, the longest waiting first."""
    mine = select(table).where(table.c.tenant == tenant, table.c.state == "open")
    rows = connection.execute(mine.order_by(table.c.asked_at, table.c.run, table.c.id).limit(limit))
    return [QuestionRow(**row._mapping) for row in rows]
