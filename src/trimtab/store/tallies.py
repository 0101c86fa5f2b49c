"""How often controllers decided what, how sure they were, and how often the model did the same: counts, no content."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, select

from trimtab.store.meters import upsert
from trimtab.store.schema import controller_tally

TallyMode = Literal["served", "shadow", "champion"]
"""Who was there beside it: nobody (it answered), the model, or the version that answers in the model's place."""


class TallyRow(msgspec.Struct, frozen=True):
    """Decisions of one version for one `option` in one bin of confidence (an abstention has neither: '' and -1).

    `agreed` of the `judged` are what the model, or the champion, did too; not all can be judged.
    """

    workflow: str
    kind: str
    version: str
    mode: TallyMode
    option: str
    bin: int
    decided: int
    agreed: int
    judged: int


def add(connection: Connection, rows: Sequence[TallyRow]) -> None:
    """Add to the counts. Rows are locked in one order, so that processes cannot block each other."""
    keys = ("workflow", "kind", "version", "mode", "option", "bin")
    for row in sorted(rows, key=lambda row: tuple(getattr(row, name) for name in keys)):
        statement = upsert(connection, controller_tally).values(msgspec.structs.asdict(row))
        counts = {
            name: controller_tally.c[name] + getattr(row, name) for name in ("decided", "agreed", "judged")
        }
        connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=counts))


def of_kind(connection: Connection, workflow: str, kind: str, version: str = "") -> list[TallyRow]:
    """The counts of a workflow's controllers of a kind, or of one version."""
    mine = (controller_tally.c.workflow == workflow) & (controller_tally.c.kind == kind)
    if version:
        mine = mine & (controller_tally.c.version == version)
    rows = connection.execute(select(controller_tally).where(mine).order_by(*controller_tally.primary_key))
    return [TallyRow(*row) for row in rows]


def everything(connection: Connection) -> list[TallyRow]:
    """All counts there are."""
    return [TallyRow(*row) for row in connection.execute(select(controller_tally))]


def forget(connection: Connection, workflow: str, kind: str, version: str) -> None:
    """Delete the counts of a version."""
    mine = (controller_tally.c.workflow == workflow) & (controller_tally.c.kind == kind)
    connection.execute(delete(controller_tally).where(mine & (controller_tally.c.version == version)))
