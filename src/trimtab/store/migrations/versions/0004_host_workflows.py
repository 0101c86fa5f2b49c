"""Host workflows: threads, runs, checkpoints with pending writes, events, questions, and the workers that drive them;
assistants, crons and the items of the store."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _worker() -> None:
    op.create_table(
        "workflow_worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("partitions", sa.Text(), nullable=False),
        sa.Column("driven", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _thread() -> None:
    op.create_table(
        "workflow_thread",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("latest_run", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("workflow_thread_updated", "workflow_thread", ["tenant", "updated_at"])
    op.create_index("workflow_thread_idle", "workflow_thread", ["updated_at"])
    op.create_index("workflow_thread_expires", "workflow_thread", ["expires_at"])


def _run() -> None:
    op.create_table(
        "workflow_run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("assistant", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claim", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("recoveries", sa.Integer(), nullable=False),
        sa.Column("driven_seconds", sa.Float(), nullable=False),
        sa.Column("cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("rolls_back", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.Float(), nullable=True),
        sa.Column("urgent_by", sa.Float(), nullable=False),
        sa.Column("begin_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("multitask", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("output", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    turn: list[str | sa.TextClause] = ["state", "tenant", sa.text("priority DESC"), "urgent_by", "id"]
    op.create_index("workflow_run_turn", "workflow_run", turn)
    op.create_index("workflow_run_tenant", "workflow_run", ["tenant", "id"])
    op.create_index("workflow_run_thread", "workflow_run", ["tenant", "thread", "id"])
    op.create_index("workflow_run_updated", "workflow_run", ["state", "updated_at"])


def _checkpoint() -> None:
    op.create_table(
        "workflow_checkpoint",
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("thread", "namespace", "id"),
    )


def _write() -> None:
    op.create_table(
        "workflow_write",
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("thread", "namespace", "checkpoint", "task", "position"),
    )


def _event() -> None:
    op.create_table(
        "workflow_event",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run", "first"),
    )


def _question() -> None:
    op.create_table(
        "workflow_question",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("asked_of", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=True),
        sa.Column("escalate_to", sa.Text(), nullable=False),
        sa.Column("escalated_at", sa.Float(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answered_at", sa.Float(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "id"),
    )
    op.create_index("workflow_question_tenant", "workflow_question", ["tenant", "state", "asked_at"])
    op.create_index("workflow_question_due", "workflow_question", ["state", "due_at"])


def _place() -> None:
    op.create_table(
        "workflow_place",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("tokens_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )


def _assistant() -> None:
    op.create_table(
        "workflow_assistant",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("config", sa.LargeBinary(), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", "version"),
    )


def _cron() -> None:
    op.create_table(
        "workflow_cron",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("assistant", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("on_completed", sa.Text(), nullable=False),
        sa.Column("end_at", sa.Float(), nullable=True),
        sa.Column("next_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("workflow_cron_tenant", "workflow_cron", ["tenant", "id"])
    op.create_index("workflow_cron_next", "workflow_cron", ["enabled", "next_at"])


def _item() -> None:
    op.create_table(
        "workflow_item",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("ttl_seconds", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "namespace", "key"),
    )
    op.create_index("workflow_item_expires", "workflow_item", ["expires_at"])


def upgrade() -> None:
    """Apply."""
    _worker()
    _thread()
    _run()
    _checkpoint()
    _write()
    _event()
    _question()
    _place()
    _assistant()
    _cron()
    _item()


def downgrade() -> None:
    """Take back."""
    for table in (
        "workflow_item",
        "workflow_cron",
        "workflow_assistant",
        "workflow_place",
        "workflow_question",
        "workflow_event",
        "workflow_write",
        "workflow_checkpoint",
        "workflow_run",
        "workflow_thread",
        "workflow_worker",
    ):
        op.drop_table(table)
