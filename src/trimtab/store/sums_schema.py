"""The tables of sums that reports and the console read: a page costs the same at a thousand calls and a million.

They are written in the transactions that write what they sum: entries by day, calls by minute.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table

from trimtab.store.schema import Words, metadata


def _amounts() -> list[Column[int]]:
    names = (
        "entries", "input_tokens", "cached_tokens", "output_tokens", "nanodollars", "estimated_nanodollars",
        "unpriced", "upstream_nanodollars", "saved_nanodollars",
    )  # fmt: skip
    return [Column(name, BigInteger, nullable=False) for name in names]


# `day` counts days since the epoch in UTC.
spend_day = Table(
    "spend_day",
    metadata,
    Column("day", Integer, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("endpoint", Words, nullable=False),
    Column("kind", Words, nullable=False),
    *_amounts(),
    PrimaryKeyConstraint("day", "tenant", "workflow", "model", "endpoint", "kind"),
)

# Steps and users are many: theirs stand apart, so that neither multiplies the other nor the endpoints.
spend_step = Table(
    "spend_step",
    metadata,
    Column("day", Integer, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("step", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("kind", Words, nullable=False),
    *_amounts(),
    PrimaryKeyConstraint("day", "tenant", "workflow", "step", "model", "kind"),
)

spend_user = Table(
    "spend_user",
    metadata,
    Column("day", Integer, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("model", Words, nullable=False),
    *_amounts(),
    PrimaryKeyConstraint("day", "tenant", "user", "workflow", "model"),
    Index("spend_user_tenant", "tenant", "user", "day"),
)

# `minute` counts minutes since the epoch; `bucket` says how long its calls took (`traffic.BOUNDS`).
call_minute = Table(
    "call_minute",
    metadata,
    Column("minute", Integer, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("endpoint", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("code", Words, nullable=False),
    Column("answered_by", Words, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    PrimaryKeyConstraint("minute", "tenant", "endpoint", "status", "code", "answered_by", "bucket"),
)
