"""Say what was drawn: the model that a lot drew for a run, and its weight, beside the run's sums."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
_MOST = 5_000
_COLUMNS = "id, at, tenant, run, policy, decision"
_UPDATE = sa.text(
    """UPDATE run SET drawn_at = :at, drawn_policy = :policy, drawn_model = :model, drawn_weight = :weight
    WHERE tenant = :tenant AND id = :run AND (
        drawn_at IS NULL OR (:model <> '' AND drawn_model = '')
        OR (:at < drawn_at AND (:model <> '') = (drawn_model <> ''))
    )"""
)


def upgrade() -> None:
    """Apply."""
    op.add_column("run", sa.Column("drawn_at", sa.Float()))
    for name in ("drawn_policy", "drawn_model", "drawn_weight"):
        op.add_column("run", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    last: str | None = ""
    while last is not None:
        last = _fill(last)


def _fill(last: str) -> str | None:
    """By the next calls behind `last`: the last of them, None behind the end. Not all ids sort by time."""
    connection = op.get_bind()
    found = sa.text(f"SELECT {_COLUMNS} FROM call WHERE id > :last ORDER BY id LIMIT {_MOST}")
    rows = connection.execute(found, {"last": last}).all()
    drawn: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if not row.decision:
            continue
        mine = {
            "tenant": row.tenant,
            "run": row.run,
            "at": row.at,
            "policy": row.policy,
            **_lot(row.decision),
        }
        known = drawn.get((row.tenant, row.run))
        if known is None or (not mine["model"], row.at) < (not known["model"], known["at"]):
            drawn[row.tenant, row.run] = mine
    if drawn:
        connection.execute(_UPDATE, list(drawn.values()))
    return rows[-1].id if rows else None


def _lot(decision: bytes) -> dict[str, str]:
    """The drawn model and its weight, both "" where the plan does not say."""
    attempts = json.loads(decision)["plan"]["attempts"] if b'"weight ' in decision else ()
    for attempt in attempts:
        reason = attempt.get("reason", "")
        if reason.startswith("weight "):
            weight = reason.removeprefix("weight ").partition(",")[0]
            return {
                "model": "" if weight == "0" else attempt["model"],
                "weight": "" if weight == "0" else weight,
            }
    return {"model": "", "weight": ""}


def downgrade() -> None:
    """Take back."""
    for name in ("drawn_weight", "drawn_model", "drawn_policy", "drawn_at"):
        op.drop_column("run", name)
