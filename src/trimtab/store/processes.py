"""The processes of the house: who is alive, how far each one's journal has been applied."""

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from trimtab.store.journal import Position
from trimtab.store.schema import process


class Fenced(Exception):
    """This process was given up for dead and its leases taken; it must begin anew under a new id."""


class Moved(Exception):
    """The journal is applied to `applied` already: a commit got through whose answer was lost."""

    def __init__(self, applied: Position) -> None:
        super().__init__(f"applied to {applied}")
        self.applied = applied


def enter(connection: Connection, id: str, host: str, pid: int, now: float) -> None:
    """Register a live process."""
    row = {"id": id, "host": host, "pid": pid, "state": "live", "started_at": now, "beat_at": now}
    connection.execute(insert(process).values(row | {"segment": 1, "position": 0}))


def advance(connection: Connection, id: str, start: Position, upto: Position, now: float) -> None:
    """Note that the journal is applied from `start` to `upto`, and that the process lives.

    Raises Fenced, and Moved where the journal is not applied exactly to `start`.
    """
    done = connection.execute(
        update(process)
        .where(
            process.c.id == id,
            process.c.state == "live",
            process.c.segment == start.segment,
            process.c.position == start.offset,
        )
        .values(segment=upto.segment, position=upto.offset, beat_at=now)
    )
    if done.rowcount == 1:
        return
    state = state_of(connection, id)
    if state.state == "live":
        raise Moved(state.applied)
    raise Fenced(id)


def rejoin(connection: Connection, id: str, applied: Position, now: float) -> None:
    """Take up a buried process again, with nothing leased."""
    alive = {"state": "live", "segment": applied.segment, "position": applied.offset, "beat_at": now}
    connection.execute(update(process).where(process.c.id == id).values(alive))


def beat(connection: Connection, id: str, now: float) -> int:
    """Say that the process lives; returns how many do. Raises Fenced."""
    done = connection.execute(
        update(process).where(process.c.id == id, process.c.state == "live").values(beat_at=now)
    )
    if done.rowcount != 1:
        raise Fenced(id)
    return connection.scalar(select(func.count()).where(process.c.state == "live")) or 1


def silent(connection: Connection, before: float) -> list[str]:
    """Live processes that have not been heard of since `before`; their rows are locked against others."""
    statement = select(process.c.id).where(process.c.state == "live", process.c.beat_at < before)
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update(skip_locked=True)
    return list(connection.scalars(statement))


class ProcessState(msgspec.Struct, frozen=True):
    """`state` is live, dead (holds settled as worst case) or unknown (no row)."""

    state: str
    applied: Position


def state_of(connection: Connection, id: str) -> ProcessState:
    """What is known of a process, with its row locked."""
    row = connection.execute(
        select(process.c.state, process.c.segment, process.c.position)
        .where(process.c.id == id)
        .with_for_update()
    ).first()
    if row is None:
        return ProcessState("unknown", Position())
    return ProcessState(row.state, Position(row.segment, row.position))


def bury(connection: Connection, id: str) -> None:
    """Mark a process dead; its holds and leases must be settled in the same transaction."""
    connection.execute(update(process).where(process.c.id == id).values(state="dead"))
