"""The doors to runs: their outcomes, and entries of tools and compute."""

from typing import Annotated, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from trimtab.core import Attribution, Clock, EntryKind, OutcomeRecord, nanodollars_of
from trimtab.core.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    StoreUnavailable,
)
from trimtab.dispatch import bounded
from trimtab.gateway.asgi import read_body, send_bytes
from trimtab.gateway.calls import is_loopback
from trimtab.gateway.hints import hints_of
from trimtab.ledger import Ledger
from trimtab.pool import Patience
from trimtab.store import Database, Writer, runs
from trimtab.tenants import KeyFacts, Keyring

_json = msgspec.json.Encoder()
_SMALL_BODY = 64 * 1024
T = TypeVar("T")
# What PostgreSQL cannot keep in a text is refused at the door.
_NO_NUL = r"^[^\x00]*$"
Short = Annotated[str, msgspec.Meta(max_length=1000, pattern=_NO_NUL)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_NO_NUL)]


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/runs/{id}/outcome`. `tenant`: only admins may name another's."""

    reward: Annotated[float, msgspec.Meta(ge=0, le=1)]
    by: Short = ""
    reason: Short = ""
    tenant: Short | None = None


class NewEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /v1/runs/{id}/entries`: a cost that did not come through the gateway."""

    id: Name
    kind: EntryKind
    what: Name
    usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
    step: Short = ""
    workflow: Short = ""
    user: Short = ""
    reason: Short = ""


class RunDoor:
    """Outcomes and entries."""

    def __init__(
        self, keyring: Keyring, ledger: Ledger, writer: Writer, database: Database, clock: Clock
    ) -> None:
        self._keyring, self._ledger, self._writer = keyring, ledger, writer
        self._database, self._clock, self._patience = database, clock, Patience()

    async def outcome(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a reward of a run, any time after its first call; the latest one stands."""
        key, run, body = await self._open(scope, receive)
        said = _decode(body, Outcome)
        tenant = key.tenant if said.tenant is None else said.tenant
        if tenant != key.tenant and key.role != "admin":
            raise Forbidden("only an admin key may speak of another tenant's run", param="tenant")
        await self._require_run(tenant, run)
        by = said.by or key.user or key.id or "anonymous"
        record = OutcomeRecord(tenant, run, self._clock.now(), said.reward, by, said.reason)
        self._writer.append(record)
        await send_bytes(send, 200, _json.encode(record), {})

    async def entry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Charge a tool use or compute to a run. Idempotent by `id`."""
        key, run, body = await self._open(scope, receive)
        said = _decode(body, NewEntry)
        if said.kind == "model":
            raise BadRequest(
                "model calls are entered by the gateway itself; kind is tool or compute", param="kind"
            )
        who = Attribution(
            tenant=key.tenant,
            run=run,
            user=key.user or bounded(said.user),
            key=key.id,
            workflow=bounded(said.workflow),
            step=bounded(said.step),
            source="headers",
        )
        id = f"{said.kind}:{key.tenant}:{run}:{said.id}"
        line = await self._ledger.charge(
            id, "", who, said.kind, said.what, nanodollars_of(said.usd), said.reason
        )
        await send_bytes(
            send, 200, _json.encode({"id": line.id, "nanodollars": line.nanodollars, "run": run}), {}
        )

    async def _open(self, scope: Scope, receive: Receive) -> tuple[KeyFacts, str, bytes]:
        _, presented = hints_of(scope["headers"])
        key = await self._keyring.open(presented, loopback=is_loopback(scope))
        key.require("operator")
        return (
            key,
            bounded(scope["path_params"]["run"]),
            await read_body(scope, receive, _SMALL_BODY, self._patience),
        )

    async def _require_run(self, tenant: str, run: str) -> None:
        """Raises NotFound. While the database is away nobody can know, and the outcome is taken."""
        try:
            await self._writer.flush()
            known = await self._database.run(lambda connection: runs.exists(connection, tenant, run))
        except StoreUnavailable:
            return
        if not known:
            raise NotFound(f"tenant {tenant!r} has no run {run!r}", code="run_not_found")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        raise BadRequest(text, param=path.rstrip("`") or None) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    return value
