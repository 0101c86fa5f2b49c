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
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()


def without_nul(value: object) -> object:
    """PostgreSQL takes no NUL in text, and clients and endpoints choose much of what is stored."""
    return value.replace("\0", "") if isinstance(value, str) and "\0" in value else value


class Words(TypeDecorator[str]):
    """Text from anywhere."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is sent to the database."""
        return value if dialect.name == "sqlite" else without_nul(value)  # type: ignore[return-value]


process = Table(
    "process",
    metadata,
    Column("id", Words, primary_key=True),
    Column("host", Words, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("state", Words, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    Column("segment", BigInteger, nullable=False, default=0),
    Column("position", BigInteger, nullable=False, default=0),
)

meter = Table(
    "meter",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("unit", Words, nullable=False),
    Column("limit_amount", BigInteger, nullable=False),
    Column("resets_at", Float),
    Column("settled", BigInteger, nullable=False, default=0),
    Column("leased", BigInteger, nullable=False, default=0),
    Column("wanted_at", Float, nullable=False, default=0),
    Index("meter_resets", "unit", "resets_at"),
)

lease = Table(
    "lease",
    metadata,
    Column("process", Words, nullable=False),
    Column("meter", Words, nullable=False),
    Column("granted", BigInteger, nullable=False),
    PrimaryKeyConstraint("process", "meter"),
    Index("lease_meter", "meter"),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Words, primary_key=True),
    Column("process", Words, nullable=False),
    Column("at", Float, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("hold_process", "process"),
)

entry = Table(
    "entry",
    metadata,
    Column("id", Words, primary_key=True),
    Column("call", Words, nullable=False),
    Column("at", Float, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("run", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("step", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("endpoint", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("certainty", Words, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("upstream_nanodollars", BigInteger, nullable=False),
    Column("reason", Words, nullable=False),
    Column("saved_nanodollars", BigInteger, nullable=False, server_default="0"),
    Index("entry_at", "at"),
    Index("entry_run", "run"),
)

run = Table(
    "run",
    metadata,
    Column("tenant", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("task", Words, nullable=False),
    Column("agent", Words, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False, default=False),
    Column("reward", Float),
    Column("outcome_at", Float),
    Column("outcome_by", Words),
    Column("outcome_reason", Words),
    Column("nanodollars", BigInteger, nullable=False, server_default="0"),
    Column("upstream_nanodollars", BigInteger, nullable=False, server_default="0"),
    Column("unpriced", BigInteger, nullable=False, server_default="0"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("routed_at", Float),
    Column("routed_by", Words, nullable=False, server_default=""),
    Column("drawn_model", Words, nullable=False, server_default=""),
    Column("drawn_weight", Words, nullable=False, server_default=""),
    PrimaryKeyConstraint("tenant", "id"),
    Index("run_started", "started_at", "tenant", "id"),
    Index("run_tenant", "tenant", "started_at", "id"),
    Index("run_user", "tenant", "user", "started_at"),
    Index("run_workflow", "workflow", "started_at"),
    Index("run_cost", "nanodollars", "tenant", "id"),
    Index("run_seconds", "seconds", "tenant", "id"),
)

call = Table(
    "call",
    metadata,
    Column("id", Words, primary_key=True),
    Column("at", Float, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("run", Words, nullable=False),
    Column("parent", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("key", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("step", Words, nullable=False),
    Column("surface", Words, nullable=False),
    Column("asked_model", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("endpoint", Words, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", Words, nullable=False),
    Column("code", Words, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("first_token_seconds", Float),
    Column("answered_by", Words, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("policy", Words, nullable=False),
    Column("decision", LargeBinary),
    Column("attempts", LargeBinary),
    Column("request", LargeBinary),
    Column("reply", LargeBinary),
    Column("controllers", LargeBinary),
    Index("call_run", "run"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Words, primary_key=True),
    Column("digest", Words, nullable=False, unique=True),
    Column("hint", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("models", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("limit_nanodollars", BigInteger),
    Column("limit_window", Words, nullable=False, server_default=""),
)

recall = Table(
    "recall",
    metadata,
    Column("tenant", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "digest"),
    Index("recall_expires", "expires_at"),
)

controller_state = Table(
    "controller_state",
    metadata,
    Column("workflow", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("since", Float, nullable=False),
    Column("by", Words, nullable=False),
    PrimaryKeyConstraint("workflow", "kind", "version"),
)

controller_event = Table(
    "controller_event",
    metadata,
    Column("id", Words, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("workflow", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("report", Words, nullable=False),
    Column("other", Words, nullable=False, server_default=""),
)

controller_tally = Table(
    "controller_tally",
    metadata,
    Column("workflow", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("mode", Words, nullable=False),
    Column("option", Words, nullable=False),
    Column("bin", Integer, nullable=False),
    Column("decided", BigInteger, nullable=False),
    Column("agreed", BigInteger, nullable=False),
    Column("judged", BigInteger, nullable=False),
    PrimaryKeyConstraint("workflow", "kind", "version", "mode", "option", "bin"),
)

console_session = Table(
    "console_session",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("key", Words, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Words, primary_key=True),
    Column("at", Float, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Index("audit_tenant", "tenant", "id"),
    Index("audit_subject", "subject", "id"),
)
