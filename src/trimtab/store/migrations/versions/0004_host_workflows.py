"""Host workflows: their runs, checkpoints with pending writes, and the workers that drive them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "workflow_worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "workflow_run",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("id", "tenant", "user", "key", "workflow")],
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("version", "thread", "state")],
        sa.Column("claim", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("recoveries", sa.Integer(), nullable=False),
        sa.Column("cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("output", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("workflow_run_state", "workflow_run", ["state", "priority", "id"])
    op.create_index("workflow_run_tenant", "workflow_run", ["tenant", "id"])
    op.create_index("workflow_run_thread", "workflow_run", ["thread"])
    op.create_table(
        "workflow_checkpoint",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("thread", "namespace", "id", "run")],
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("parent", "kind")],
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("thread", "namespace", "id"),
    )
    op.create_table(
        "workflow_write",
        *[
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("thread", "namespace", "checkpoint", "task")
        ],
        sa.Column("position", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("path", "channel", "kind")],
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("thread", "namespace", "checkpoint", "task", "position"),
    )
    op.create_table(
        "workflow_question",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("run", "id", "tenant", "workflow")],
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("asked_of", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=True),
        sa.Column("escalate_to", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answered_at", sa.Float(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "id"),
    )
    op.create_index("workflow_question_tenant", "workflow_question", ["tenant", "state", "asked_at"])
    op.create_table(
        "workflow_place",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )


def downgrade() -> None:
    """Take back."""
    for table in (
        "workflow_place",
        "workflow_question",
        "workflow_write",
        "workflow_checkpoint",
        "workflow_run",
        "workflow_worker",
    ):
        op.drop_table(table)
