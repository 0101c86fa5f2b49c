"""Alembic's entry: runs the migrations on the connection that `migrate` hands over."""

from alembic import context

from trimtab.store import workflow_schema
from trimtab.store.schema import metadata

assert workflow_schema.run.metadata is metadata
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
