"""The tables of hosted workflows, see `schema.py`. Times are epoch seconds; `LargeBinary` is JSON but for bodies of
checkpoints, writes and events.

A thread's name is chosen by clients, so a thread is known by (tenant, id); checkpoints and writes know it as
"tenant/id".
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    text,
)

from trimtab.store.schema import Words, metadata

worker = Table(
    "workflow_worker",
    metadata,
    Column("id", Words, primary_key=True),
    Column("host", Words, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("partitions", Words, nullable=False),
    Column("driven", Integer, nullable=False),
)

thread = Table(
    "workflow_thread",
    metadata,
    Column("tenant", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("metadata", Words, nullable=False),
    Column("latest_run", Words, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("expires_at", Float),
    PrimaryKeyConstraint("tenant", "id"),
    Index("workflow_thread_updated", "tenant", "updated_at"),
    Index("workflow_thread_idle", "updated_at"),
    Index("workflow_thread_expires", "expires_at"),
)

run = Table(
    "workflow_run",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("assistant", Words, nullable=False),
    Column("thread", Words, nullable=False),
    Column("partition", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("claim", BigInteger, nullable=False),
    Column("owner", Words, nullable=False),
    Column("recoveries", Integer, nullable=False),
    Column("driven_seconds", Float, nullable=False),
    Column("cancel_asked", Boolean, nullable=False),
    Column("rolls_back", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("deadline", Float),
    Column("urgent_by", Float, nullable=False),
    Column("begin_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("multitask", Words, nullable=False),
    Column("origin", Words, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("terms", LargeBinary, nullable=False),
    Column("metadata", Words, nullable=False),
    Column("output", LargeBinary),
    Column("error", Words, nullable=False),
    Index("workflow_run_turn", "state", "tenant", text("priority DESC"), "urgent_by", "id"),
    Index("workflow_run_tenant", "tenant", "id"),
    Index("workflow_run_thread", "tenant", "thread", "id"),
    Index("workflow_run_updated", "state", "updated_at"),
)

checkpoint = Table(
    "workflow_checkpoint",
    metadata,
    Column("thread", Words, nullable=False),
    Column("namespace", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("run", Words, nullable=False),
    Column("parent", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    PrimaryKeyConstraint("thread", "namespace", "id"),
)

write = Table(
    "workflow_write",
    metadata,
    Column("thread", Words, nullable=False),
    Column("namespace", Words, nullable=False),
    Column("checkpoint", Words, nullable=False),
    Column("task", Words, nullable=False),
    Column("position", Integer, nullable=False),
    Column("path", Words, nullable=False),
    Column("channel", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("thread", "namespace", "checkpoint", "task", "position"),
)

event = Table(
    "workflow_event",
    metadata,
    Column("run", Words, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run", "first"),
)

question = Table(
    "workflow_question",
    metadata,
    Column("run", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("asked_of", Words, nullable=False),
    Column("due_at", Float),
    Column("escalate_to", Words, nullable=False),
    Column("escalated_at", Float),
    Column("value", LargeBinary, nullable=False),
    Column("state", Words, nullable=False),
    Column("decision", Words, nullable=False),
    Column("answer", LargeBinary),
    Column("answered_at", Float),
    Column("answered_by", Words, nullable=False),
    PrimaryKeyConstraint("run", "id"),
    Index("workflow_question_tenant", "tenant", "state", "asked_at"),
    Index("workflow_question_due", "state", "due_at"),
)

place = Table(
    "workflow_place",
    metadata,
    Column("tenant", Words, primary_key=True),
    Column("queued", BigInteger, nullable=False),
    Column("running", BigInteger, nullable=False),
    Column("tokens", Float, nullable=False),
    Column("tokens_at", Float, nullable=False),
)

assistant = Table(
    "workflow_assistant",
    metadata,
    Column("tenant", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Column("latest", Boolean, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("description", Words, nullable=False),
    Column("config", LargeBinary, nullable=False),
    Column("context", LargeBinary, nullable=False),
    Column("metadata", Words, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    PrimaryKeyConstraint("tenant", "id", "version"),
)

cron = Table(
    "workflow_cron",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("assistant", Words, nullable=False),
    Column("thread", Words, nullable=False),
    Column("schedule", Words, nullable=False),
    Column("timezone", Words, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("metadata", Words, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("on_completed", Words, nullable=False),
    Column("end_at", Float),
    Column("next_at", Float),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Index("workflow_cron_tenant", "tenant", "id"),
    Index("workflow_cron_next", "enabled", "next_at"),
)

item = Table(
    "workflow_item",
    metadata,
    Column("tenant", Words, nullable=False),
    Column("namespace", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("vector", LargeBinary),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("ttl_seconds", Float),
    PrimaryKeyConstraint("tenant", "namespace", "key"),
    Index("workflow_item_expires", "expires_at"),
)
