"""Say what was drawn: the policy that routed a run and, where it drew by lot, the model and its weight."""

import json
import re
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
_MOST = 5_000
_DRAWN = re.compile(r"weight (\d+(?:\.\d+)?(?:e[+-]\d+)?)(?:, |$)", re.ASCII)
_NEXT = "SELECT id, at, tenant, run, policy, decision FROM call WHERE id > :last ORDER BY id LIMIT :most"
_KEEP = """
    INSERT INTO lot VALUES (:tenant, :run, :at, :policy, :model, :weight) ON CONFLICT (tenant, run) DO UPDATE SET
    at = excluded.at, policy = excluded.policy, model = excluded.model, weight = excluded.weight
    WHERE (excluded.model <> '' AND lot.model = '')
    OR (excluded.at < lot.at AND (excluded.model <> '') = (lot.model <> ''))
"""
_TELL = """
    UPDATE run SET routed_at = lot.at, routed_by = lot.policy, drawn_model = lot.model, drawn_weight = lot.weight
    FROM lot WHERE run.tenant = lot.tenant AND run.id = lot.run
"""


def upgrade() -> None:
    """Apply. All calls are read first: others write to `run` until it is changed."""
    names = [sa.Column(name, sa.Text()) for name in ("policy", "model", "weight")]
    keys = [sa.Column(name, sa.Text(), primary_key=True) for name in ("tenant", "run")]
    op.create_table("lot", *keys, sa.Column("at", sa.Float()), *names, prefixes=["TEMPORARY"])
    last: str | None = ""
    while last is not None:
        last = _gather(last)
    op.add_column("run", sa.Column("routed_at", sa.Float()))
    for name in ("routed_by", "drawn_model", "drawn_weight"):
        op.add_column("run", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.execute(_TELL)
    op.drop_table("lot")


def _gather(last: str) -> str | None:
    """By the next calls behind `last`: the last of them, None behind the end. Not all ids sort by time."""
    connection = op.get_bind()
    rows = connection.execute(sa.text(_NEXT), {"last": last, "most": _MOST}).all()
    lots: dict[tuple[str, str], dict[str, Any]] = {}
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
        known = lots.get((row.tenant, row.run))
        if known is None or (not mine["model"], row.at) < (not known["model"], known["at"]):
            lots[row.tenant, row.run] = mine
    if lots:
        connection.execute(sa.text(_KEEP), list(lots.values()))
    return rows[-1].id if rows else None


def _lot(decision: bytes) -> dict[str, str]:
    """The drawn model and its weight, both "" where the plan does not say."""
    if b'"weight ' in decision:
        # One that is none of ours is no reason to stop here.
        with suppress(ValueError, LookupError, AttributeError, TypeError, RecursionError):
            for attempt in json.loads(decision)["plan"]["attempts"]:
                told = _DRAWN.match(attempt.get("reason", ""))
                if told is not None:
                    model = "" if float(told[1]) == 0 else attempt["model"].replace("\0", "")
                    model.encode()
                    return {"model": model, "weight": told[1] if model else ""}
    return {"model": "", "weight": ""}


def downgrade() -> None:
    """Take back."""
    for name in ("drawn_weight", "drawn_model", "routed_by", "routed_at"):
        op.drop_column("run", name)
