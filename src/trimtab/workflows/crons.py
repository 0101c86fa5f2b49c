"""Crons: orders that are given again and again by the clock, on one thread or each on a thread of its own.

Of all processes of a house exactly one starts a due run. What was due while none was up is started once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError
from sqlalchemy import Connection

from trimtab.core import Clock, IdSource
from trimtab.core.errors import BadRequest, CallError, NotFound, StoreUnavailable
from trimtab.store import CronQuery, CronRow, Database, workflow_crons, workflow_threads
from trimtab.workflows.allowance import AllowanceOf, Room
from trimtab.workflows.assistants import Assistant, Assistants, terms_of
from trimtab.workflows.order import Order, RunWishes
from trimtab.workflows.values import facts_text

_LOOK_SECONDS = 1.0
_AT_ONCE = 100
_FIELDS = 5
_UNSET = msgspec.UNSET
_log = logging.getLogger(__name__)


class CronPayload(RunWishes, frozen=True, omit_defaults=True):
    """What a cron's runs are given, as the SDK says it; `models` are those its maker's key may name."""

    input: Any = None
    models: tuple[str, ...] = ()


class CronOwner(msgspec.Struct, frozen=True):
    """Whose cron it is; `models` are those the key may name, all where there are none."""

    tenant: str
    user: str = ""
    key: str = ""
    models: tuple[str, ...] = ()


class CronPlan(msgspec.Struct, frozen=True):
    """A cron that is asked for. `thread` is '' for a thread of its own each time; `end_at` is epoch seconds."""

    assistant: str
    schedule: str
    thread: str = ""
    timezone: str = ""
    end_at: float | None = None
    enabled: bool = True
    on_completed: Literal["delete", "keep"] = "delete"
    metadata: dict[str, Any] = {}
    payload: CronPayload = CronPayload()


class CronChanges(msgspec.Struct, frozen=True):
    """What is to be otherwise; `payload` has only the fields that change."""

    schedule: str | None = None
    timezone: str | None = None
    end_at: float | None | msgspec.UnsetType = _UNSET
    enabled: bool | None = None
    on_completed: Literal["delete", "keep"] | None = None
    metadata: dict[str, Any] | None = None
    payload: CronPayload = CronPayload()


class Crons:
    """Constructed by `app/`; `run` is its task. Every method but `run` raises StoreUnavailable."""

    def __init__(
        self,
        database: Database,
        assistants: Assistants,
        clock: Clock,
        ids: IdSource,
        start: Callable[[Order], Awaitable[object]],
        allowance_of: AllowanceOf,
    ) -> None:
        self._database, self._assistants, self._clock, self._ids = database, assistants, clock, ids
        self._start, self._room = start, Room("crons", workflow_crons.count_all, allowance_of)

    async def create(self, owner: CronOwner, plan: CronPlan) -> CronRow:
        """A new cron.

        Raises NotFound for its assistant and its thread, BadRequest for a schedule without a time, Conflict where the
        tenant has as many as it may.
        """
        assistant = await self._assistants.resolve(owner.tenant, plan.assistant)
        now = self._clock.now()
        kept = {name: getattr(plan, name) for name in ("thread", "schedule", "timezone", "end_at", "enabled")}
        row = CronRow(
            id=self._ids.new(now),
            tenant=owner.tenant,
            user=owner.user,
            key=owner.key,
            **kept,
            assistant=assistant.id,
            payload=msgspec.json.encode(msgspec.to_builtins(plan.payload) | _limits(owner)),
            metadata=facts_text(plan.metadata),
            on_completed=plan.on_completed,
            next_at=None,
            created_at=now,
            updated_at=now,
        )
        planned = _planned(row, now)
        if plan.enabled and planned.next_at is None:
            raise BadRequest(
                f"{plan.schedule!r} is never due before the end; mend `schedule` or `end_time`",
                param="schedule",
            )
        await self._database.run(lambda connection: self._add(connection, planned))
        return planned

    def _add(self, connection: Connection, row: CronRow) -> None:
        if row.thread and workflow_threads.find(connection, row.tenant, row.thread) is None:
            raise NotFound(f"there is no thread {row.thread!r}; create it first", param="thread_id")
        workflow_crons.add(connection, row)
        self._room.require(connection, row.tenant)

    async def find(self, tenant: str, id: str) -> CronRow:
        """A cron of a tenant. Raises NotFound."""
        return _there(await self._database.run(lambda c: workflow_crons.find(c, tenant, id)), id)

    async def update(self, tenant: str, id: str, changes: CronChanges) -> CronRow:
        """Change a cron; it is due by its new plan, from now on. Raises NotFound, BadRequest."""
        now = self._clock.now()

        def work(connection: Connection) -> CronRow:
            row = _there(workflow_crons.find(connection, tenant, id), id)
            changed = _planned(_changed(row, changes), now)
            workflow_crons.change(connection, changed)
            return changed

        return await self._database.run(work)

    async def delete(self, tenant: str, id: str) -> None:
        """Delete a cron; its runs stay. Raises NotFound."""
        if not await self._database.run(lambda c: workflow_crons.remove(c, tenant, id)):
            _there(None, id)

    async def search(self, tenant: str, query: CronQuery) -> list[CronRow]:
        """A page of a tenant's crons."""
        named = await self._named(tenant, query)
        return await self._database.run(lambda c: workflow_crons.search(c, tenant, named))

    async def count(self, tenant: str, query: CronQuery) -> int:
        """How many crons there are on all pages."""
        named = await self._named(tenant, query)
        return await self._database.run(lambda c: workflow_crons.count(c, tenant, named))

    async def run(self) -> None:
        """Start what is due, until cancelled."""
        while True:
            try:
                await self.fire_due()
            except StoreUnavailable as error:
                _log.warning("crons cannot be read: %s", error)
            except Exception:  # the task's edge: no cron would ever be due without it
                _log.exception("crons cannot be read; it is tried again")
            await asyncio.sleep(_LOOK_SECONDS)

    async def fire_due(self) -> int:
        """Start the runs that are due now and that nobody else starts; how many."""
        now, behind, fired = self._clock.now(), (0.0, ""), 0
        while rows := await self._due(now, behind):
            for row in rows:
                fired += await self._fire(row, now)
            behind = (rows[-1].next_at or 0.0, rows[-1].id)
        return fired

    async def _due(self, now: float, behind: tuple[float, str]) -> list[CronRow]:
        return await self._database.run(lambda c: workflow_crons.due(c, now, behind, _AT_ONCE))

    async def _fire(self, row: CronRow, now: float) -> bool:
        try:
            assistant = await self._assistants.resolve(row.tenant, row.assistant)
        except NotFound:
            return False  # whoever hosts its workflow starts it
        next_at = _next_within(row, now)
        if not await self._database.run(lambda c: workflow_crons.move(c, row, next_at)):
            return False
        if row.end_at is not None and now >= row.end_at:
            return False
        try:
            await self._start(_order(row, assistant))
        except (CallError, StoreUnavailable) as error:
            _log.warning("cron %s of tenant %s: a run did not start: %s", row.id, row.tenant, error)
            return False
        except Exception:  # what one cron is made of must not hold up the others
            _log.exception("cron %s of tenant %s: a run did not start", row.id, row.tenant)
            return False
        return True

    async def _named(self, tenant: str, query: CronQuery) -> CronQuery:
        """The query with the assistant's id, where it has a workflow's name."""
        if query.assistant is None:
            return query
        try:
            known = await self._assistants.find(tenant, query.assistant)
        except NotFound:
            return query
        return msgspec.structs.replace(query, assistant=known.id)


def next_time(schedule: str, timezone: str, after: float) -> float | None:
    """When a schedule is due next, behind the epoch second `after`; None for never (within 50 years).

    In `timezone` ('' is UTC) as Debian's cron has it: a time that a change of clocks leaves out is due right after
    it, one that comes twice is due once. Raises BadRequest.
    """
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(
            f"{timezone!r} is no time zone; name one as the IANA does, e.g. 'Europe/Berlin'", param="timezone"
        ) from error
    try:
        if len(schedule.split()) != _FIELDS:
            raise CronSimError("Wrong number of fields")
        due = next(CronSim(schedule, datetime.fromtimestamp(after, zone)), None)
    except CronSimError as error:
        raise BadRequest(
            f"{schedule!r} is no cron expression ({str(error).lower()}); give minute, hour, day, month and weekday, "
            "e.g. '0 9 * * MON-FRI'",
            param="schedule",
        ) from error
    return None if due is None else due.timestamp()


def _next_within(row: CronRow, now: float) -> float | None:
    due = next_time(row.schedule, row.timezone, max(now, row.next_at or now))
    return None if due is None or (row.end_at is not None and due >= row.end_at) else due


def _planned(row: CronRow, now: float) -> CronRow:
    """The row, due by its own plan from `now` on; not enabled any more where it is never due."""
    fresh = msgspec.structs.replace(row, next_at=None, updated_at=now)
    due = _next_within(fresh, now)
    if not row.enabled or due is None:
        return msgspec.structs.replace(fresh, enabled=False)
    return msgspec.structs.replace(fresh, next_at=due)


def _changed(row: CronRow, changes: CronChanges) -> CronRow:
    told: dict[str, Any] = {
        name: value
        for name in ("schedule", "timezone", "enabled", "on_completed")
        if (value := getattr(changes, name)) is not None
    }
    if changes.end_at is not _UNSET:
        told["end_at"] = changes.end_at
    if changes.metadata is not None:
        told["metadata"] = facts_text(changes.metadata)
    payload = msgspec.json.decode(row.payload) | msgspec.to_builtins(changes.payload)
    return msgspec.structs.replace(row, payload=msgspec.json.encode(payload), **told)


def _limits(owner: CronOwner) -> dict[str, list[str]]:
    return {"models": list(owner.models)} if owner.models else {}


def _order(row: CronRow, assistant: Assistant) -> Order:
    payload = msgspec.json.decode(row.payload, type=CronPayload)
    terms = terms_of(
        assistant,
        payload,
        streamed=bool(payload.stream_resumable),
        on_completion="keep" if row.thread else row.on_completed,
        models=payload.models,
    )
    return Order(
        assistant.workflow,
        msgspec.json.encode(payload.input),
        tenant=row.tenant,
        user=row.user,
        key=row.key,
        waits=True,
        thread=row.thread,
        assistant=assistant.id,
        terms=terms,
        metadata=facts_text({**assistant.metadata, **msgspec.json.decode(row.metadata)}).encode(),
        multitask=payload.multitask_strategy or "enqueue",
        origin=f"cron:{row.id}",
    )


def _there(row: CronRow | None, id: str) -> CronRow:
    if row is None:
        raise NotFound(f"there is no cron {id!r}", param="cron_id")
    return row
