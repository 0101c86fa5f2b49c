"""Sum for the console: what runs cost and how long they took beside them, entries by day, calls by minute; sessions of
browsers and who did what by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
_AMOUNTS = (
    "entries", "input_tokens", "cached_tokens", "output_tokens", "nanodollars", "estimated_nanodollars",
    "unpriced", "upstream_nanodollars", "saved_nanodollars",
)  # fmt: skip
_SUMS = """
    COUNT(*), SUM(input_tokens), SUM(cached_tokens), SUM(output_tokens), SUM(nanodollars),
    SUM(CASE WHEN certainty IN ('estimated', 'worst_case') THEN nanodollars ELSE 0 END),
    SUM(CASE WHEN certainty = 'unpriced' THEN 1 ELSE 0 END),
    SUM(upstream_nanodollars), SUM(saved_nanodollars)
"""


def upgrade() -> None:
    """Apply."""
    _runs()
    day = "CAST(FLOOR(at / 86400.0) AS INTEGER)"
    if op.get_bind().dialect.name == "sqlite":
        day = "CAST(at / 86400.0 AS INTEGER)"
    _spend("spend_day", day, ("tenant", "workflow", "model", "endpoint", "kind"))
    _spend("spend_step", day, ("tenant", "workflow", "step", "model", "kind"))
    _spend("spend_user", day, ("tenant", "user", "workflow", "model"))
    op.create_index("spend_user_tenant", "spend_user", ["tenant", "user", "day"])
    _calls()
    _people()


def _runs() -> None:
    for name in ("nanodollars", "upstream_nanodollars", "unpriced"):
        op.add_column("run", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("seconds", sa.Float(), nullable=False, server_default="0"))
    mine = "FROM entry WHERE entry.run = run.id AND entry.tenant = run.tenant"
    op.execute(
        f"""UPDATE run SET seconds = last_at - started_at,
        nanodollars = COALESCE((SELECT SUM(nanodollars) {mine}), 0),
        upstream_nanodollars = COALESCE((SELECT SUM(upstream_nanodollars) {mine}), 0),
        unpriced = COALESCE((SELECT SUM(CASE WHEN certainty = 'unpriced' THEN 1 ELSE 0 END) {mine}), 0)"""
    )
    op.drop_index("run_started", "run")
    op.create_index("run_started", "run", ["started_at", "tenant", "id"])
    op.create_index("run_tenant", "run", ["tenant", "started_at", "id"])
    op.create_index("run_user", "run", ["tenant", "user", "started_at"])
    op.create_index("run_workflow", "run", ["workflow", "started_at"])
    op.create_index("run_cost", "run", ["nanodollars", "tenant", "id"])
    op.create_index("run_seconds", "run", ["seconds", "tenant", "id"])


def _spend(table: str, day: str, keys: tuple[str, ...]) -> None:
    op.create_table(
        table,
        sa.Column("day", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in keys],
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in _AMOUNTS],
        sa.PrimaryKeyConstraint("day", *keys),
    )
    names = ", ".join(f'"{name}"' for name in keys)
    op.execute(f'INSERT INTO "{table}" SELECT {day}, {names}, {_SUMS} FROM entry GROUP BY {day}, {names}')


def _calls() -> None:
    keys = ("tenant", "endpoint", "status", "code", "answered_by")
    sums = ("calls", "nanodollars", "input_tokens", "cached_tokens", "output_tokens")
    op.create_table(
        "call_minute",
        sa.Column("minute", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in keys],
        sa.Column("bucket", sa.Integer(), nullable=False),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in sums],
        sa.PrimaryKeyConstraint("minute", *keys, "bucket"),
    )


def _people() -> None:
    op.create_table(
        "console_session",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    names = ("tenant", "by", "action", "subject", "detail")
    op.create_table(
        "audit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in names],
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_tenant", "audit", ["tenant", "id"])
    op.create_index("audit_subject", "audit", ["subject", "id"])
    op.create_index("meter_resets", "meter", ["unit", "resets_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("meter_resets", "meter")
    for table in ("audit", "console_session", "call_minute", "spend_user", "spend_step", "spend_day"):
        op.drop_table(table)
    for index in ("run_seconds", "run_cost", "run_workflow", "run_user", "run_tenant", "run_started"):
        op.drop_index(index, "run")
    op.create_index("run_started", "run", ["started_at"])
    for name in ("seconds", "unpriced", "upstream_nanodollars", "nanodollars"):
        op.drop_column("run", name)
