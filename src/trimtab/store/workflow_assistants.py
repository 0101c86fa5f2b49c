"""Assistants that tenants made: a workflow with settings of its own, every version kept, one of them the latest."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.facts import holds
from trimtab.store.workflow_schema import assistant as table
from trimtab.store.workflow_schema import cron


class AssistantRow(msgspec.Struct, frozen=True):
    """One version. `config`, `context` and `metadata` are JSON; `created_at` is the assistant's, `updated_at` the
    version's, both in epoch seconds."""

    tenant: str
    id: str
    version: int
    latest: bool
    workflow: str
    name: str
    description: str
    config: bytes
    context: bytes
    metadata: str
    created_at: float
    updated_at: float


def add(connection: Connection, row: AssistantRow) -> bool:
    """A new assistant; False where there is one of that id."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(msgspec.structs.asdict(row)).on_conflict_do_nothing()
    # psycopg's count is lost with its cursor otherwise.
    kept = {"preserve_rowcount": True}
    return connection.execute(statement, execution_options=kept).rowcount == 1


def find(connection: Connection, tenant: str, id: str) -> AssistantRow | None:
    """The latest version of an assistant."""
    row = connection.execute(select(table).where(_named(tenant, id), table.c.latest)).first()
    return None if row is None else AssistantRow(**row._mapping)


def lock(connection: Connection, tenant: str, id: str) -> None:
    """Keep an assistant's versions as they are until this transaction ends."""
    # The first version is there as long as the assistant is, so that whoever waits for it sees what was added.
    connection.execute(select(table.c.id).where(_named(tenant, id), table.c.version == 1).with_for_update())


def append(connection: Connection, row: AssistantRow) -> AssistantRow:
    """A further version, the latest from now on; numbered here. The assistant must be locked."""
    highest = connection.scalar(select(func.max(table.c.version)).where(_named(row.tenant, row.id))) or 0
    added = msgspec.structs.replace(row, version=highest + 1, latest=True)
    connection.execute(update(table).where(_named(row.tenant, row.id)).values(latest=False))
    add(connection, added)
    return added


def set_latest(connection: Connection, tenant: str, id: str, version: int) -> bool:
    """Make a version the latest; False where there is none of that number. The assistant must be locked."""
    chosen = and_(_named(tenant, id), table.c.version == version)
    if connection.scalar(select(table.c.version).where(chosen)) is None:
        return False
    connection.execute(update(table).where(_named(tenant, id)).values(latest=table.c.version == version))
    return True


def versions(
    connection: Connection, tenant: str, id: str, metadata: Mapping[str, Any], limit: int, offset: int
) -> list[AssistantRow]:
    """Versions whose metadata has these facts, the newest first."""
    mine = select(table).where(_named(tenant, id), holds(connection, table.c.metadata, metadata))
    rows = connection.execute(mine.order_by(table.c.version.desc()).limit(limit).offset(offset))
    return [AssistantRow(**row._mapping) for row in rows]


def search(
    connection: Connection, tenant: str, metadata: Mapping[str, Any], workflow: str | None
) -> list[AssistantRow]:
    """The latest versions of a tenant's assistants whose metadata has these facts, of one workflow or of all."""
    mine = and_(table.c.tenant == tenant, table.c.latest, holds(connection, table.c.metadata, metadata))
    if workflow is not None:
        mine = and_(mine, table.c.workflow == workflow)
    return [AssistantRow(**row._mapping) for row in connection.execute(select(table).where(mine))]


def remove(connection: Connection, tenant: str, id: str) -> bool:
    """Delete an assistant with its versions and crons; False where there is none."""
    connection.execute(delete(cron).where(cron.c.tenant == tenant, cron.c.assistant == id))
    return connection.execute(delete(table).where(_named(tenant, id))).rowcount > 0


def _named(tenant: str, id: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.id == id)
