"""Keys made and revoked at the console. A new key's secret is shown on the page that answers, and nowhere else."""

import asyncio
from contextlib import suppress
from typing import get_args

import msgspec
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from trimtab.console.budgets import MADE, REVOKED
from trimtab.console.filters import one_of
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.core import Role, in_future
from trimtab.core.errors import BadRequest, ConfigError, NotFound, StoreUnavailable, Unauthenticated
from trimtab.store import KeyRow, audit, keys, sessions
from trimtab.tenants import create_key

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
            about = f"{row.role}, user {row.user}" if row.user else row.role
            audit.add(connection, msgspec.structs.replace(note, subject=row.id, detail=about))

        secret, row = await asyncio.to_thread(
            create_key,
            premises.database,
            premises.clock,
            terms.tenant,
            terms.user,
            terms.role,
            terms.models,
            terms.expires_at,
            terms.note,
            kept,
        )
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
            raise NotFound(f"there is no good key with id {id!r}", code="key_not_found")
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
    )


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
