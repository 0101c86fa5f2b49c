"""Brings a database to the current schema. Alembic is imported only when there is something to do."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DataError, ProgrammingError

from trimtab.core.errors import ConfigError
from trimtab.store.database import Database

HEAD = "0007"
_LOCK = 7_246_131
# A table of millions of rows takes its time, and who waits for its turn waits as long; a process that was stopped half
# way must not keep others from the database for ever, nor an upgrade that itself waits for a report to end.
_PATIENCE = ("statement_timeout = 0", "idle_in_transaction_session_timeout = '60s'")
_BRIEFLY = "lock_timeout = '30s'"
# Of a process killed within a long statement; servers before version 14, or on some systems, refuse it.
_NOTICE_DEATH = "client_connection_check_interval = '5s'"


def migrate(database: Database) -> None:
    """Upgrade to `HEAD`; two processes at once wait for each other, on SQLite for ten seconds.

    Raises StoreUnavailable, ConfigError where the database is of a later version.
    """
    found = database.transact(_version)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        said = f"the database is of version {found}, and this is for {HEAD}; use the Trimtab that brought it there"
        raise ConfigError(said, key="server.database")
    database.transact(_upgrade)


def require_head(database: Database) -> None:
    """For processes that must not change the store under others. Raises ConfigError where it is not of this version."""
    found = database.transact(_version)
    if found == HEAD:
        return
    state = "has no tables yet" if found is None else f"is of version {found}, and this is for {HEAD}"
    said = f"the database {state}; `trimtab serve` of this version brings it up to date"
    raise ConfigError(said, key="server.database")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for setting in _PATIENCE:
            connection.execute(text(f"SET LOCAL {setting}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"SET LOCAL {_BRIEFLY}"))
        # An older server does not know it, some systems cannot do it.
        with suppress(ProgrammingError, DataError), connection.begin_nested():
            connection.execute(text(f"SET LOCAL {_NOTICE_DEATH}"))
    if _version(connection) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
