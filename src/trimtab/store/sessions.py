"""Signed-in browsers: a session is known by the digest of its cookie, and stands for a key."""

import msgspec
from sqlalchemy import Connection, delete, insert, select

from trimtab.store.schema import console_session as table


class SessionRow(msgspec.Struct, frozen=True):
    """A session: whose key opened it, and until when it is good (epoch seconds)."""

    digest: str
    key: str
    created_at: float
    expires_at: float


def add(connection: Connection, row: SessionRow) -> None:
    """A browser signed in; sessions that are over are forgotten on the way."""
    connection.execute(delete(table).where(table.c.expires_at <= row.created_at))
    connection.execute(insert(table), [msgspec.structs.asdict(row)])


def find(connection: Connection, digest: str, now: float) -> SessionRow | None:
    """The session, as long as it is good."""
    row = connection.execute(select(table).where(table.c.digest == digest, table.c.expires_at > now)).first()
    return None if row is None else SessionRow(*row)


def end(connection: Connection, digest: str) -> None:
    """A browser signed out."""
    connection.execute(delete(table).where(table.c.digest == digest))


def end_of_key(connection: Connection, key: str) -> None:
    """A key was revoked: its browsers are signed out."""
    connection.execute(delete(table).where(table.c.key == key))
