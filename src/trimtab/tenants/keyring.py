"""Who may come in: API keys, checked in memory, kept in the store as digests.

Without any key ever made, only loopback is served. A revoked or expired key stops working within
`refresh_seconds` on every process.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection

from trimtab.budgets import KeyLimit
from trimtab.core import Clock, Role
from trimtab.core.errors import Forbidden, LedgerUnavailable, StoreUnavailable, Unauthenticated
from trimtab.store import Database, keys

_log = logging.getLogger(__name__)
_UNKNOWN_SECONDS = 2.0
_LOOK_UP_SECONDS = 3.0
_MOST_UNKNOWN = 10_000
_RANKS: dict[Role, int] = {"viewer": 0, "operator": 1, "admin": 2}


class KeyFacts(msgspec.Struct, frozen=True, gc=False):
    """What a key says of its bearer. `models` empty: all models."""

    id: str
    tenant: str
    user: str = ""
    role: Role = "operator"
    models: tuple[str, ...] = ()
    expires_at: float | None = None

    def require(self, role: Role) -> None:
        """Raises Forbidden below `role`."""
        if _RANKS[self.role] < _RANKS[role]:
            raise Forbidden(f"this needs the role {role}; the key has {self.role}")


LOCAL = KeyFacts(id="", tenant="default", role="admin")


def digest_of(key: str) -> str:
    """What is stored of a key. Keys carry 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keyring:
    """Constructed by `app/`; `run` is its refreshing task."""

    def __init__(self, database: Database, clock: Clock, refresh_seconds: float = 2.0) -> None:
        self._database, self._clock, self._refresh_seconds = database, clock, refresh_seconds
        self._known: dict[str, KeyFacts] = {}
        self._by_key: dict[str, KeyFacts] = {}
        self._unknown: dict[str, float] = {}
        self._limits: dict[str, KeyLimit] = {}
        self._locked = False

    def limit_of(self, id: str) -> KeyLimit | None:
        """What the calls of a key may cost, by its id; None where it has no limit."""
        return self._limits.get(id)

    @property
    def is_locked(self) -> bool:
        """Whether a key was ever made, so that everybody needs one."""
        return self._locked

    async def holder(self, id: str) -> KeyFacts:
        """The facts of a key that was presented before, by its id. Raises Unauthenticated where it is good no more,
        LedgerUnavailable."""
        facts = next((known for known in self._known.values() if known.id == id), None)
        if facts is None:
            row = await self._row(lambda connection: keys.by_id(connection, id))
            facts = None if row is None or row.revoked_at is not None else _facts(row)
        if facts is None or (facts.expires_at is not None and facts.expires_at <= self._clock.now()):
            raise Unauthenticated("the key of this session is revoked or has expired")
        return facts

    async def open(self, key: str, *, loopback: bool) -> KeyFacts:
        """The facts of a presented key ('' if none). Raises Unauthenticated, LedgerUnavailable."""
        facts = self._by_key.get(key)
        if facts is None:
            facts = await self._open_slowly(key, loopback)
        if facts.expires_at is not None and facts.expires_at <= self._clock.now():
            raise Unauthenticated("this key has expired; make a new one with `trimtab keys create`")
        return facts

    async def _open_slowly(self, key: str, loopback: bool) -> KeyFacts:
        if not self._locked and loopback:
            return LOCAL
        if not key and self._locked:
            raise Unauthenticated("no API key: send `Authorization: Bearer <key>` (or `x-api-key`)")
        digest = digest_of(key)
        # The first key may just have been made, by another process.
        facts = (self._known.get(digest) or await self._look_up(digest)) if key else None
        if facts is None and not self._locked:
            raise Unauthenticated(
                "no key is configured, so only loopback is served; make one with `trimtab keys create`"
            )
        if facts is None:
            raise Unauthenticated("unknown or revoked API key")
        self._locked = True
        # Known from now on, so that the next refresh sees it go when it is revoked.
        self._known[digest] = self._by_key[key] = facts
        return facts

    async def _look_up(self, digest: str) -> KeyFacts | None:
        now = self._clock.now()
        if now - self._unknown.get(digest, 0.0) < _UNKNOWN_SECONDS:
            return None
        row = await self._row(lambda connection: keys.by_digest(connection, digest))
        if row is None or row.revoked_at is not None:
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[digest] = now
            return None
        if row.limit is not None:
            self._limits[row.id] = row.limit
        return _facts(row)

    async def _row(self, find: Callable[[Connection], keys.KeyRow | None]) -> keys.KeyRow | None:
        try:
            return await self._database.run(find, _LOOK_UP_SECONDS)
        except StoreUnavailable as error:
            _log.warning("a key cannot be checked: %s", error)
            raise LedgerUnavailable(
                "keys cannot be checked while the database is away", retry_after_seconds=2
            ) from error

    async def load(self) -> None:
        """Read all keys. Raises StoreUnavailable."""

        def work(connection: Connection) -> Sequence[keys.KeyRow]:
            return keys.everyone(connection)

        rows = await self._database.run(work)
        self._locked = bool(rows)
        # Of revoked keys too: their hosted runs go on.
        self._limits = {row.id: limit for row in rows if (limit := row.limit) is not None}
        good = {row.digest: _facts(row) for row in rows if row.revoked_at is None}
        if good != self._known:
            self._known = good
            self._by_key.clear()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(self._refresh_seconds)
            try:
                await self.load()
            except StoreUnavailable:
                continue
            except Exception:
                # The task's edge: without it no revocation would be noticed any more.
                _log.exception("keys cannot be read; it is tried again")


def _facts(row: keys.KeyRow) -> KeyFacts:
    role = msgspec.convert(row.role, Role)
    return KeyFacts(row.id, row.tenant, row.user, role, row.models, row.expires_at)
