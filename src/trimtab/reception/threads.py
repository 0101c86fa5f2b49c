"""The doors to threads, as the LangGraph SDKs speak to them."""

from typing import Annotated, Any, Literal

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import BadRequest, Conflict
from trimtab.gateway import is_yes, whole_of
from trimtab.reception.desk import Asked, Desk, done, said
from trimtab.reception.page import Limit, Offset, Word, chosen
from trimtab.reception.shapes import checkpoint_json, state_json, thread_json
from trimtab.store import FoundThread, ThreadQuery, ThreadStatus
from trimtab.workflows import Changed, Threads

_MOST_LISTED = 1_000


class Ttl(msgspec.Struct, frozen=True):
    """How long a thread is kept, in minutes; only deletion is known."""

    ttl: Annotated[float, msgspec.Meta(gt=0)]
    strategy: Literal["delete"] = "delete"


class NewThread(msgspec.Struct, frozen=True):
    """Body of `POST /threads`."""

    thread_id: str | None = None
    metadata: dict[str, Any] | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: Ttl | float | None = None
    supersteps: list[Any] | None = None


class Search(msgspec.Struct, frozen=True):
    """Body of `POST /threads/search` and `/count`."""

    metadata: dict[str, Any] | None = None
    ids: list[Word] | None = None
    status: ThreadStatus | None = None
    values: dict[str, Any] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[str] | None = None

    def query(self) -> ThreadQuery:
        """As the store takes it. Raises BadRequest."""
        if self.values:
            raise BadRequest("threads are searched by metadata, ids and status", param="values")
        return ThreadQuery(
            metadata=self.metadata or {},
            ids=self.ids or (),
            status=self.status,
            limit=self.limit,
            offset=self.offset,
            sort_by=self.sort_by or "updated_at",
            ascending=self.sort_order == "asc",
        )


class Place(msgspec.Struct, frozen=True):
    """Where a checkpoint lies."""

    checkpoint_id: Word | None = None
    checkpoint_ns: Word | None = None


class Patch(msgspec.Struct, frozen=True):
    """Body of `PATCH /threads/{thread}` and `/state`."""

    metadata: dict[str, Any] = {}
    ttl: Ttl | float | None = None


class At(msgspec.Struct, frozen=True):
    """Body of `POST /threads/{thread}/state/checkpoint`."""

    checkpoint: Place = Place()
    subgraphs: bool = False


class NewState(msgspec.Struct, frozen=True):
    """Body of `POST /threads/{thread}/state`."""

    values: Any = None
    as_node: str | None = None
    checkpoint: Place | None = None
    checkpoint_id: Word | None = None


class History(msgspec.Struct, frozen=True):
    """Body of `POST /threads/{thread}/history`."""

    limit: Limit = 10
    before: Any = None
    metadata: dict[str, Any] | None = None
    checkpoint: Place | None = None


class Prune(msgspec.Struct, frozen=True):
    """Body of `POST /threads/prune`."""

    thread_ids: list[Word]
    strategy: Literal["delete"] = "delete"


class ThreadDoor:
    """Constructed by `app/`."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def create(self, asked: Asked) -> Response:
        """`POST /threads`."""
        body = asked.decoded(NewThread)
        if body.supersteps:
            raise BadRequest("a thread begins empty; use its state to fill it", param="supersteps")
        tenant = asked.key.tenant
        found, is_new = await self._threads.create(
            tenant, body.thread_id or "", body.metadata, _minutes(body.ttl)
        )
        if not is_new and body.if_exists != "do_nothing":
            raise Conflict(f"there is a thread {found.row.id!r}", param="thread_id")
        return await self._said(tenant, found)

    async def get(self, asked: Asked) -> Response:
        """`GET /threads/{thread}`."""
        return await self._said(
            asked.key.tenant, await self._threads.find(asked.key.tenant, asked.path["thread"])
        )

    async def search(self, asked: Asked) -> Response:
        """`POST /threads/search`; the header X-Pagination-Next says where the next page begins."""
        body, tenant = asked.decoded(Search), asked.key.tenant
        found = await self._threads.search(tenant, body.query())
        listed = [
            chosen(thread_json(one, await self._threads.state(tenant, one.row.id)), body.select)
            for one in found
        ]
        more = {"x-pagination-next": str(body.offset + body.limit)} if len(found) == body.limit else {}
        return said(listed, headers=more)

    async def count(self, asked: Asked) -> Response:
        """`POST /threads/count`."""
        return said(await self._threads.count(asked.key.tenant, asked.decoded(Search).query()))

    async def update(self, asked: Asked) -> Response:
        """`PATCH /threads/{thread}`."""
        body, tenant = asked.decoded(Patch), asked.key.tenant
        found = await self._threads.update(tenant, asked.path["thread"], body.metadata, _minutes(body.ttl))
        return await self._said(tenant, found)

    async def delete(self, asked: Asked) -> Response:
        """`DELETE /threads/{thread}`."""
        await self._threads.delete(asked.key.tenant, asked.path["thread"])
        return done()

    async def prune(self, asked: Asked) -> Response:
        """`POST /threads/prune`: those that are there and not busy; which were busy is told."""
        deleted, busy = await self._threads.prune(asked.key.tenant, asked.decoded(Prune).thread_ids)
        return said({"pruned_count": deleted, "busy": busy})

    async def copy(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/copy`."""
        tenant = asked.key.tenant
        return await self._said(tenant, await self._threads.copy(tenant, asked.path["thread"]))

    async def state(self, asked: Asked) -> Response:
        """`GET /threads/{thread}/state` and `/state/{checkpoint}`."""
        subgraphs = is_yes(asked.query, "subgraphs")
        checkpoint = asked.path.get("checkpoint", "")
        return await self._state(asked, Place(checkpoint), subgraphs=subgraphs)

    async def state_at(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/state/checkpoint`."""
        body = asked.decoded(At)
        return await self._state(asked, body.checkpoint, subgraphs=body.subgraphs)

    async def _state(self, asked: Asked, place: Place, *, subgraphs: bool) -> Response:
        state = await self._threads.state(
            asked.key.tenant,
            asked.path["thread"],
            place.checkpoint_id or "",
            subgraphs=subgraphs,
            namespace=place.checkpoint_ns or "",
        )
        return said(state_json(state))

    async def change(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/state`."""
        body = asked.decoded(NewState)
        at = body.checkpoint_id or (body.checkpoint.checkpoint_id if body.checkpoint else "") or ""
        changed = Changed(body.values, body.as_node, at)
        config = await self._threads.change(asked.key.tenant, asked.path["thread"], changed)
        return said({"checkpoint": checkpoint_json(config), **(checkpoint_json(config) or {})})

    async def patch_state(self, asked: Asked) -> Response:
        """`PATCH /threads/{thread}/state`: metadata."""
        await self._threads.update(asked.key.tenant, asked.path["thread"], asked.decoded(Patch).metadata)
        return done()

    async def history(self, asked: Asked) -> Response:
        """`GET` and `POST /threads/{thread}/history`."""
        body = asked.decoded(History)
        limit = max(1, min(whole_of(asked.query, "limit", body.limit), _MOST_LISTED))
        states = await self._threads.history(
            asked.key.tenant,
            asked.path["thread"],
            limit,
            _checkpoint_id(asked.query.get("before") or body.before),
            body.metadata,
            (body.checkpoint.checkpoint_ns if body.checkpoint else "") or "",
        )
        return said([state_json(state) for state in states])

    async def _said(self, tenant: str, found: FoundThread) -> Response:
        return said(thread_json(found, await self._threads.state(tenant, found.row.id)))


def _minutes(ttl: Ttl | float | None) -> float | None:
    return ttl.ttl if isinstance(ttl, Ttl) else ttl


def _checkpoint_id(before: object) -> str:
    """`before` is a checkpoint's id, or a config that names one."""
    if isinstance(before, dict):
        place = before.get("configurable")
        return _checkpoint_id((place if isinstance(place, dict) else before).get("checkpoint_id"))
    return before if isinstance(before, str) else ""


def thread_routes(desk: Desk, threads: Threads) -> list[Route]:
    """The paths of threads."""
    door, one = ThreadDoor(threads), "/threads/{thread}"
    return [
        Route("/threads", desk.door(door.create), methods=["POST"]),
        Route("/threads/search", desk.door(door.search), methods=["POST"]),
        Route("/threads/count", desk.door(door.count), methods=["POST"]),
        Route("/threads/prune", desk.door(door.prune), methods=["POST"]),
        Route(one, desk.door(door.get), methods=["GET"]),
        Route(one, desk.door(door.update), methods=["PATCH"]),
        Route(one, desk.door(door.delete), methods=["DELETE"]),
        Route(f"{one}/copy", desk.door(door.copy), methods=["POST"]),
        Route(f"{one}/state", desk.door(door.state), methods=["GET"]),
        Route(f"{one}/state", desk.door(door.change), methods=["POST"]),
        Route(f"{one}/state", desk.door(door.patch_state), methods=["PATCH"]),
        Route(f"{one}/state/checkpoint", desk.door(door.state_at), methods=["POST"]),
        Route(f"{one}/state/{{checkpoint}}", desk.door(door.state), methods=["GET"]),
        Route(f"{one}/history", desk.door(door.history), methods=["GET", "POST"]),
    ]
