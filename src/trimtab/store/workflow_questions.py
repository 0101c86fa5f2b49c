"""The inbox: what runs that wait have asked of people. A question is answered once; the answer stays."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import question as table
from trimtab.store.workflow_schema import run as run_table

_NEVER = 1e12
QuestionState = Literal["open", "answered", "withdrawn"]


class QuestionRow(msgspec.Struct, frozen=True):
    """One `interrupt()`, by LangGraph's id of it. `value` and `answer` are JSON; times are epoch seconds.

    `decision` is '' for a plain answer, else approve, edit or reject; `escalated_at` None: it was not passed on.
    """

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
    escalated_at: float | None = None
    decision: str = ""


class AskedRow(msgspec.Struct, frozen=True):
    """A question, and the thread of the run that asked it."""

    question: QuestionRow
    thread: str


class QuestionPlace(msgspec.Struct, frozen=True):
    """Where a page of questions ended."""

    asked_at: float
    run: str
    id: str


class DuePlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of questions by due time ended."""

    due_at: float
    asked_at: float
    run: str
    id: str

    @classmethod
    def behind(cls, asked: QuestionRow) -> "DuePlace":
        """The place of a question."""
        return cls(_NEVER if asked.due_at is None else asked.due_at, asked.asked_at, asked.run, asked.id)


class QuestionQuery(msgspec.Struct, frozen=True):
    """Open questions of a tenant: of a workflow, of somebody, due before a moment, after a place in the list."""

    tenant: str
    workflow: str | None = None
    asked_of: str | None = None
    due_before: float | None = None
    after: QuestionPlace | None = None


def ask(connection: Connection, rows: Sequence[QuestionRow]) -> None:
    """Put questions into the inbox; one that stands there already stays as it is."""
    if rows:
        insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
        connection.execute(insert.on_conflict_do_nothing(), [msgspec.structs.asdict(row) for row in rows])


def answer(
    connection: Connection, run: str, id: str, value: bytes, by: str, now: float, decision: str = ""
) -> bool:
    """Answer an open question; False where it is not open (any more)."""
    mine = and_(table.c.run == run, table.c.id == id, table.c.state == "open")
    values = {
        "state": "answered",
        "answer": value,
        "answered_at": now,
        "answered_by": by,
        "decision": decision,
    }
    return connection.execute(update(table).where(mine).values(values)).rowcount == 1


def withdraw(connection: Connection, run: str) -> None:
    """The run is over: what it still asked needs no answer."""
    mine = (table.c.run == run) & (table.c.state == "open")
    connection.execute(update(table).where(mine).values(state="withdrawn"))


def answered_in(connection: Connection, tenant: str, thread: str, ids: Collection[str]) -> list[str]:
    """The runs of a thread that asked questions of these ids which are answered."""
    if not ids:
        return []
    runs = select(run_table.c.id).where(run_table.c.tenant == tenant, run_table.c.thread == thread)
    mine = and_(table.c.run.in_(runs), table.c.id.in_(sorted(ids)), table.c.state == "answered")
    return list(connection.scalars(select(table.c.run).where(mine).distinct()))


def ask_again(connection: Connection, run: str, ids: Collection[str]) -> None:
    """Open the questions of a run that were answered by whoever never took the answers up, and those withdrawn then."""
    undone = or_(and_(table.c.id.in_(sorted(ids)), table.c.state == "answered"), table.c.state == "withdrawn")
    values = {"state": "open", "answer": None, "answered_at": None, "answered_by": "", "decision": ""}
    connection.execute(update(table).where(table.c.run == run, undone).values(values))


def remove(connection: Connection, run: str) -> None:
    """Delete all that a run asked."""
    connection.execute(delete(table).where(table.c.run == run))


def escalate(connection: Connection, now: float, most: int) -> list[QuestionRow]:
    """Pass on up to `most` open questions that are due, each once, to whom they name; as they stand then.

    Where several processes look, the rows one of them is at are left to it.
    """
    due = and_(table.c.state == "open", table.c.due_at <= now, table.c.escalated_at.is_(None))
    chosen = select(table).where(due).order_by(table.c.due_at, table.c.run, table.c.id).limit(most)
    passed = []
    for row in connection.execute(chosen.with_for_update(skip_locked=True)).all():
        was = QuestionRow(**row._mapping)
        changes = {"escalated_at": now, "asked_of": was.escalate_to or was.asked_of}
        mine = and_(table.c.run == was.run, table.c.id == was.id, due)
        if connection.execute(update(table).where(mine).values(changes)).rowcount:
            passed.append(msgspec.structs.replace(was, **changes))
    return passed


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


def of_thread(connection: Connection, run: str) -> list[QuestionRow]:
    """All that the runs of a run's thread ever asked, the oldest first."""
    mine, others = run_table.alias("mine"), run_table.alias("others")
    same = and_(others.c.tenant == mine.c.tenant, others.c.thread == mine.c.thread)
    runs = select(others.c.id).join_from(mine, others, same).where(mine.c.id == run)
    asked = select(table).where(table.c.run.in_(runs)).order_by(table.c.asked_at, table.c.run, table.c.id)
    return [QuestionRow(**row._mapping) for row in connection.execute(asked)]


def open_of(connection: Connection, query: QuestionQuery, limit: int) -> list[AskedRow]:
    """Open questions, the longest waiting first."""
    order = (table.c.asked_at, table.c.run, table.c.id)
    return _asked(connection, _wanted(query).order_by(*order).limit(limit))


def due_first(
    connection: Connection, tenant: str | None, limit: int, after: DuePlace | None = None
) -> list[AskedRow]:
    """Open questions of a tenant or of all, the soonest due first, those never due last."""
    order = (func.coalesce(table.c.due_at, _NEVER), table.c.asked_at, table.c.run, table.c.id)
    statement = _joined().where(table.c.state == "open")
    if tenant is not None:
        statement = statement.where(table.c.tenant == tenant)
    if after is not None:
        statement = statement.where(tuple_(*order) > tuple_(*msgspec.structs.astuple(after)))
    return _asked(connection, statement.order_by(*order).limit(limit))


def find_asked(connection: Connection, run: str, id: str) -> AskedRow | None:
    """A question with its thread."""
    found = _asked(connection, _joined().where(table.c.run == run, table.c.id == id))
    return found[0] if found else None


def _wanted(query: QuestionQuery) -> "Select[Any]":
    wanted = [table.c.tenant == query.tenant, table.c.state == "open"]
    if query.workflow is not None:
        wanted.append(table.c.workflow == query.workflow)
    if query.asked_of is not None:
        wanted.append(table.c.asked_of == query.asked_of)
    if query.due_before is not None:
        wanted.append(table.c.due_at <= query.due_before)
    if query.after is not None:
        place = tuple_(table.c.asked_at, table.c.run, table.c.id)
        wanted.append(place > tuple_(query.after.asked_at, query.after.run, query.after.id))
    return _joined().where(*wanted)


def _joined() -> "Select[Any]":
    return select(table, run_table.c.thread).join_from(table, run_table, run_table.c.id == table.c.run)


def _asked(connection: Connection, statement: "Select[Any]") -> list[AskedRow]:
    rows = []
    for row in connection.execute(statement):
        facts = dict(row._mapping)
        thread = facts.pop("thread")
        rows.append(AskedRow(QuestionRow(**facts), thread))
    return rows
