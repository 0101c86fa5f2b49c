"""Crons over HTTP, as the LangGraph SDKs speak of them."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import BadRequest
from trimtab.reception.desk import Asked, Desk, done, said
from trimtab.reception.page import Limit, Offset, Word, chosen
from trimtab.reception.shapes import moment
from trimtab.store import CronQuery, CronRow
from trimtab.workflows import CronChanges, CronOwner, CronPayload, CronPlan, Crons, RunWishes

Sort = Literal[
    "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"
]
Field = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "on_run_completed",
    "end_time",
    "schedule",
    "timezone",
    "created_at",
    "updated_at",
    "payload",
    "user_id",
    "next_run_date",
    "metadata",
    "enabled",
    "now",
]
_UNSET = msgspec.UNSET


class _Payload(RunWishes, frozen=True):
    """What both bodies say of the runs. `durability` is `sync` in any case, which promises the most."""

    input: Any = None
    webhook: str | None = None
    durability: Literal["sync", "async", "exit"] | None = None


class _New(_Payload, frozen=True, kw_only=True):
    assistant_id: Word
    schedule: Word
    timezone: Word | None = None
    end_time: datetime | None = None
    enabled: bool = True
    on_run_completed: Literal["delete", "keep"] = "delete"
    metadata: dict[str, Any] = {}


class _Change(_Payload, frozen=True, kw_only=True):
    schedule: Word | None = None
    timezone: Word | None = None
    end_time: datetime | None | msgspec.UnsetType = _UNSET
    enabled: bool | None = None
    on_run_completed: Literal["delete", "keep"] | None = None
    metadata: dict[str, Any] | None = None


class _Search(msgspec.Struct, frozen=True):
    assistant_id: Word | None = None
    thread_id: Word | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Sort = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[Field] | None = None


class _Door:
    def __init__(self, crons: Crons) -> None:
        self._crons = crons

    async def create(self, asked: Asked) -> Response:
        body, key = asked.decoded(_New), asked.key
        plan = CronPlan(
            body.assistant_id,
            body.schedule,
            asked.path.get("thread", ""),
            body.timezone or "",
            _seconds(body.end_time),
            body.enabled,
            body.on_run_completed,
            body.metadata,
            _payload(body),
        )
        return said(
            _shown(await self._crons.create(CronOwner(key.tenant, key.user, key.id, key.models), plan))
        )

    async def get(self, asked: Asked) -> Response:
        return said(_shown(await self._crons.find(asked.key.tenant, asked.path["cron"])))

    async def update(self, asked: Asked) -> Response:
        body = asked.decoded(_Change)
        changes = CronChanges(
            body.schedule,
            body.timezone,
            _UNSET if isinstance(body.end_time, msgspec.UnsetType) else _seconds(body.end_time),
            body.enabled,
            body.on_run_completed,
            body.metadata,
            _payload(body),
        )
        return said(_shown(await self._crons.update(asked.key.tenant, asked.path["cron"], changes)))

    async def delete(self, asked: Asked) -> Response:
        await self._crons.delete(asked.key.tenant, asked.path["cron"])
        return done()

    async def search(self, asked: Asked) -> Response:
        body = asked.decoded(_Search)
        found = await self._crons.search(asked.key.tenant, _query(body))
        return said([chosen(_shown(row), body.select) for row in found])

    async def count(self, asked: Asked) -> Response:
        return said(await self._crons.count(asked.key.tenant, _query(asked.decoded(_Search))))


def cron_routes(desk: Desk, crons: Crons) -> list[Route]:
    """The routes of crons; they stand before those of runs, whose names they would be."""
    door = _Door(crons)
    return [
        Route("/runs/crons", desk.door(door.create), methods=["POST"]),
        Route("/runs/crons/search", desk.door(door.search), methods=["POST"]),
        Route("/runs/crons/count", desk.door(door.count), methods=["POST"]),
        Route("/runs/crons/{cron}", desk.door(door.get), methods=["GET"]),
        Route("/runs/crons/{cron}", desk.door(door.update), methods=["PATCH"]),
        Route("/runs/crons/{cron}", desk.door(door.delete), methods=["DELETE"]),
        Route("/threads/{thread}/runs/crons", desk.door(door.create), methods=["POST"]),
    ]


def _payload(body: _Payload) -> CronPayload:
    if body.webhook is not None:
        raise BadRequest("runs call no webhook here; leave it out", param="webhook")
    return CronPayload(
        **{name: getattr(body, name) for name in CronPayload.__struct_fields__ if name != "models"}
    )


def _query(body: _Search) -> CronQuery:
    return CronQuery(
        body.assistant_id,
        body.thread_id,
        body.enabled,
        body.metadata or {},
        body.limit,
        body.offset,
        body.sort_by,
        body.sort_order == "asc",
    )


def _seconds(moment: datetime | None) -> float | None:
    """A moment that names no time zone is in UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _shown(row: CronRow) -> dict[str, Any]:
    return {
        "cron_id": row.id,
        "assistant_id": row.assistant,
        "thread_id": row.thread or None,
        "on_run_completed": None if row.thread else row.on_completed,
        "end_time": None if row.end_at is None else moment(row.end_at),
        "schedule": row.schedule,
        "timezone": row.timezone or None,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "payload": msgspec.Raw(row.payload),
        "user_id": row.user or None,
        "next_run_date": None if row.next_at is None else moment(row.next_at),
        "metadata": msgspec.Raw(row.metadata.encode()),
        "enabled": row.enabled,
    }
