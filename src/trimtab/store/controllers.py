"""Which controllers serve and which only look on, for all processes; and who changed it when, for good."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, insert, select

from trimtab.store.schema import controller_event, controller_state

ControllerState = Literal["enabled", "shadow"]
ControllerAction = Literal["enabled", "shadowed", "disabled", "displaced", "deleted"]


class StateRow(msgspec.Struct, frozen=True):
    """A version that is at work. `since` is epoch seconds, `by` whoever said so."""

    workflow: str
    kind: str
    version: str
    state: ControllerState
    since: float
    by: str


class EventRow(msgspec.Struct, frozen=True):
    """One change, for the audit. `report` is the digest of the evaluation report it rests on; `forced`: without one
    that was passed. `other` is the version that was displaced by an enabled one, and of a displaced one its successor.
    """

    id: str
    at: float
    by: str
    action: ControllerAction
    workflow: str
    kind: str
    version: str
    forced: bool = False
    report: str = ""
    other: str = ""


def take_turn(connection: Connection) -> None:
    """Until the transaction ends nobody else changes who is at work. SQLite's writers take turns anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE controller_state IN SHARE ROW EXCLUSIVE MODE")


def at_work(connection: Connection) -> list[StateRow]:
    """All that serve or look on."""
    order = (controller_state.c.workflow, controller_state.c.kind, controller_state.c.version)
    rows = connection.execute(select(controller_state).order_by(*order))
    return [StateRow(*row) for row in rows]


def set_to_work(connection: Connection, row: StateRow) -> str:
    """Put a version to work; an enabled one takes the place of the one that was enabled before it, which is returned
    ('' where there was none)."""
    take_turn(connection)
    mine = (controller_state.c.workflow == row.workflow) & (controller_state.c.kind == row.kind)
    gone = controller_state.c.version == row.version
    if row.state == "enabled":
        gone = gone | (controller_state.c.state == "enabled")
    left = connection.execute(
        delete(controller_state).where(mine & gone).returning(controller_state.c.version)
    )
    displaced = [version for version in left.scalars() if version != row.version]
    connection.execute(insert(controller_state).values(msgspec.structs.asdict(row)))
    return displaced[0] if displaced else ""


def lay_off(connection: Connection, workflow: str, kind: str, version: str = "") -> list[str]:
    """Take a version off its work, or all of a kind where none is named; returns the versions that were at work."""
    take_turn(connection)
    mine = (controller_state.c.workflow == workflow) & (controller_state.c.kind == kind)
    if version:
        mine = mine & (controller_state.c.version == version)
    left = connection.execute(delete(controller_state).where(mine).returning(controller_state.c.version))
    return sorted(left.scalars())


def note(connection: Connection, event: EventRow) -> None:
    """Append an audit line."""
    connection.execute(insert(controller_event).values(msgspec.structs.asdict(event)))


def events(connection: Connection, workflow: str, kind: str) -> Sequence[EventRow]:
    """What was done with a workflow's controllers of a kind, oldest first."""
    mine = (controller_event.c.workflow == workflow) & (controller_event.c.kind == kind)
    rows = connection.execute(select(controller_event).where(mine).order_by(controller_event.c.id))
    return [EventRow(*row) for row in rows]
