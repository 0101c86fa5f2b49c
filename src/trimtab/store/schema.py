"""The tables. Money is nanodollars, times are epoch seconds, ids are text that sorts by time.

Only `store/` reads or writes them. Names of run ids come from clients, so a run is known by (tenant, id).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

metadata = MetaData()

process = Table(
    "process",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    Column("segment", BigInteger, nullable=False, default=0),
    Column("position", BigInteger, nullable=False, default=0),
)

meter = Table(
    "meter",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("limit_amount", BigInteger, nullable=False),
    Column("resets_at", Float),
    Column("settled", BigInteger, nullable=False, default=0),
    Column("leased", BigInteger, nullable=False, default=0),
    Column("wanted_at", Float, nullable=False, default=0),
)

lease = Table(
    "lease",
    metadata,
    Column("process", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("granted", BigInteger, nullable=False),
    PrimaryKeyConstraint("process", "meter"),
    Index("lease_meter", "meter"),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Text, primary_key=True),
    Column("process", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("hold_process", "process"),
)

entry = Table(
    "entry",
    metadata,
    Column("id", Text, primary_key=True),
    Column("call", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("certainty", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("upstream_nanodollars", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Index("entry_at", "at"),
    Index("entry_run", "run"),
)

run = Table(
    "run",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False, default=False),
    Column("reward", Float),
    Column("outcome_at", Float),
    Column("outcome_by", Text),
    Column("outcome_reason", Text),
    PrimaryKeyConstraint("tenant", "id"),
    Index("run_started", "started_at"),
)

call = Table(
    "call",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("surface", Text, nullable=False),
    Column("asked_model", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("first_token_seconds", Float),
    Column("answered_by", Text, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("decision", LargeBinary),
    Column("attempts", LargeBinary),
    Column("request", LargeBinary),
    Column("reply", LargeBinary),
    Index("call_run", "run"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("hint", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
)

recall = Table(
    "recall",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "digest"),
    Index("recall_expires", "expires_at"),
)
