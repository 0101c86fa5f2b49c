"""Keys made, limited, revoked at the console. A new key's secret is shown on the page that answers, nowhere else."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import get_args

import msgspec
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from trimtab.budgets import KEY_WINDOWS, KeyLimit, key_limit, key_meter
from trimtab.console.budgets import LIMITED, MADE, REVOKED
from trimtab.console.filters import one_of
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.core import Role, in_future
from trimtab.core.errors import BadRequest, ConfigError, NotFound, StoreUnavailable, Unauthenticated
from trimtab.store import KeyRow, audit, keys, meters, sessions
from trimtab.tenants import create_key, limit_key

_ROLES: tuple[Role, ...] = get_args(Role)
_LONGEST, _LONGEST_NOTE, _MOST_MODELS = 200, 1_000, 100
_LAST_MOMENT = 253_402_300_799.0


class KeyTerms(msgspec.Struct, frozen=True):
    """What a form asks for."""

    tenant: str
    user: str
    role: Role
    models: tuple[str, ...]
    expires_at: float | None
    note: str
    limit: KeyLimit | None


class KeyPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def created(self, visitor: Visitor) -> Response:
        """`POST /console/keys/create`: a key, shown this once."""
        premises = self._premises
        terms = _terms(visitor, premises.clock.now())
        if visitor.is_open:
            await self._require_first(terms)
        note = premises.note(terms.tenant, visitor.name, MADE, "")

        def kept(connection: Connection, row: KeyRow) -> None:
            parts = (row.role, row.user and f"user {row.user}", row.limit and f"limit {row.limit}")
            about = ", ".join(str(part) for part in parts if part)
            audit.add(connection, msgspec.structs.replace(note, subject=row.id, detail=about))

        make = partial(create_key, premises.database, premises.clock, **msgspec.structs.asdict(terms))
        secret, row = await asyncio.to_thread(make, also=kept)
        # The key stands; what follows must not keep its secret from being shown.
        with suppress(StoreUnavailable):
            await premises.keyring.load()
        # Whoever made the first key has locked the console behind it, and is a stranger until signed in.
        shown_to = None if visitor.is_open else visitor
        return premises.sheets.page("key", shown_to, "New key", secret=secret, key=row, first=visitor.is_open)

    async def _require_first(self, terms: KeyTerms) -> None:
        """Raises Unauthenticated where a key was made meanwhile, BadRequest where nobody could sign in as admin."""
        await self._premises.keyring.load()
        if self._premises.keyring.is_locked:
            raise Unauthenticated("a key was made meanwhile; sign in")
        if terms.role != "admin":
            raise BadRequest(
                "the first key must have the role admin: this console locks behind it, and only an admin can make more",
                param="role",
            )

    async def limit_shown(self, visitor: Visitor) -> Response:
        """`GET /console/keys/limit?id=`: what the calls of a key may cost, and did."""
        await self._premises.fresh()
        id, now = visitor.query.get("id", ""), self._premises.clock.now()

        def work(connection: Connection) -> tuple[KeyRow, int | None]:
            row = keys.by_id(connection, id)
            if row is None or row.revoked_at is not None:
                raise _no_key(id)
            if row.limit is None:
                return row, None
            meter = key_meter(id, row.limit, now).id
            return row, meters.settled(connection, [meter]).get(meter, 0)

        row, spent = await self._premises.reader.read(work)
        about = {"key": row, "spent": spent, "windows": KEY_WINDOWS}
        return self._premises.sheets.page("key_limit", visitor, "Limit of a key", **about)

    async def limited(self, visitor: Visitor) -> Response:
        """`POST /console/keys/limit`: what its calls may cost from now on."""
        premises, id = self._premises, visitor.asked("id")
        for field in ("limit_usd", "window"):
            if field not in visitor.form:
                raise BadRequest(f"{field} is missing; an empty limit_usd takes the limit away", param=field)
        limit = _limit(visitor)
        # What this process has charged is to be in the store when it is counted.
        await premises.fresh()

        def kept(connection: Connection, row: KeyRow) -> None:
            audit.add(connection, premises.note(row.tenant, visitor.name, LIMITED, id, str(limit or "none")))

        if not await asyncio.to_thread(limit_key, premises.database, premises.clock, id, limit, also=kept):
            raise _no_key(id)
        with suppress(StoreUnavailable):
            await premises.keyring.load()
        return RedirectResponse(link("/budgets"), 303)

    async def revoked(self, visitor: Visitor) -> Response:
        """`POST /console/keys/revoke`: a key opens nothing any more, and its browsers are signed out."""
        premises, id = self._premises, visitor.asked("id")
        if id == visitor.key.id and visitor.form.get("sure") != id:
            raise BadRequest(
                "this is the key you are signed in with: revoking it signs you out for good. "
                'Tick "yes, mine" beside it if that is meant',
                param="sure",
            )
        now = premises.clock.now()

        def work(connection: Connection) -> KeyRow | None:
            row = keys.by_id(connection, id)
            if row is None or not keys.revoke(connection, id, now):
                return None
            sessions.end_of_key(connection, id)
            note = premises.note(row.tenant, visitor.name, REVOKED, id, f"{row.role}, {row.hint}…")
            audit.add(connection, note)
            return row

        row = await premises.database.run(work)
        if row is None:
            raise _no_key(id)
        with suppress(StoreUnavailable):
            await premises.keyring.load()
        return RedirectResponse(link("/budgets"), 303)


def _terms(visitor: Visitor, now: float) -> KeyTerms:
    """Raises BadRequest that says which field cannot be used."""
    role = one_of({"role": visitor.asked("role")}, "role", _ROLES)
    assert role is not None
    models = tuple(name.strip() for name in visitor.form.get("models", "").split(",") if name.strip())
    if len(models) > _MOST_MODELS or any(len(name) > _LONGEST or not name.isprintable() for name in models):
        raise BadRequest(
            f"models are at most {_MOST_MODELS} names, by commas; leave it empty for all", param="models"
        )
    return KeyTerms(
        tenant=_name("tenant", visitor.asked("tenant")),
        user=_name("user", visitor.form.get("user", "").strip()),
        role=role,
        models=models,
        expires_at=_moment(visitor.form.get("expires", "").strip(), now),
        note=_name("note", visitor.form.get("note", "").strip(), _LONGEST_NOTE),
        limit=_limit(visitor),
    )


def _limit(visitor: Visitor) -> KeyLimit | None:
    usd, window = visitor.form.get("limit_usd", "").strip(), visitor.form.get("window", "month").strip()
    try:
        limit = key_limit(usd or "0", window)
    except ConfigError as error:
        raise BadRequest(error.message, param="limit_usd" if error.key == "usd" else "window") from error
    return limit if usd else None


def _no_key(id: str) -> NotFound:
    return NotFound(f"there is no good key with id {id!r}", code="key_not_found")


def _name(field: str, text: str, longest: int = _LONGEST) -> str:
    if len(text) > longest or not text.isprintable():
        raise BadRequest(f"{field} is one line of at most {longest} characters", param=field)
    return text


def _moment(text: str, now: float) -> float | None:
    if not text:
        return None
    try:
        moment = in_future(text, now)
    except (ConfigError, OverflowError) as error:
        raise BadRequest(f"expires: {error}", param="expires") from error
    if moment > _LAST_MOMENT:
        raise BadRequest("expires lies beyond the year 9999; leave it empty for never", param="expires")
    return moment
