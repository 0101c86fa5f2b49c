"""The processes of the house: who is alive, how far each one's journal has been applied."""

import msgspec
from sqlalchemy import Connection, insert, select, update

from trimtab.store.journal import Position
from trimtab.store.schema import process


class Fenced(Exception):
    """This process was given up for dead and its leases taken; it must begin anew, with nothing leased."""


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


def replay(connection: Connection, id: str, start: Position, upto: Position) -> None:
    """Note that a dead process's journal is applied from `start` to `upto`. Raises Moved."""
    here = (process.c.id == id) & (process.c.segment == start.segment) & (process.c.position == start.offset)
    done = connection.execute(update(process).where(here).values(segment=upto.segment, position=upto.offset))
    if done.rowcount != 1:
        raise Moved(state_of(connection, id).applied)


def require_live(connection: Connection, id: str) -> None:
    """Keep a process from being given up for dead before this transaction ends. Raises Fenced."""
    state = connection.scalar(select(process.c.state).where(process.c.id == id).with_for_update(read=True))
    if state != "live":
        raise Fenced(id)


def rejoin(connection: Connection, id: str, now: float) -> None:
    """Take up a buried process again; its journal goes on where it was."""
    connection.execute(update(process).where(process.c.id == id).values(state="live", beat_at=now))


def beat(connection: Connection, id: str, now: float) -> dict[str, float]:
    """Say that the process lives; returns the last beat of all that do. Raises Fenced."""
    done = connection.execute(
        update(process).where(process.c.id == id, process.c.state == "live").values(beat_at=now)
    )
    if done.rowcount != 1:
        raise Fenced(id)
    living = connection.execute(select(process.c.id, process.c.beat_at).where(process.c.state == "live"))
    return {row.id: row.beat_at for row in living}


def still_silent(connection: Connection, id: str, beat_at: float) -> bool:
    """Whether a live process has not been heard of since `beat_at`; its row is locked against others then."""
    silent = (process.c.id == id) & (process.c.state == "live") & (process.c.beat_at == beat_at)
    return connection.scalar(select(process.c.id).where(silent).with_for_update()) is not None


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
