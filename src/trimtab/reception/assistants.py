"""Assistants over HTTP, as the LangGraph SDKs speak of them: workflows, and what tenants made of them."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import BadRequest, Conflict
from trimtab.gateway import is_yes, whole_of
from trimtab.reception.desk import Asked, Desk, done, said
from trimtab.reception.page import Limit, Offset, Word, chosen
from trimtab.reception.shapes import moment
from trimtab.workflows import Assistant, AssistantQuery, Assistants, Changes, GraphSchemas

Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._:-]{1,128}\Z")]
Sort = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
Field = Literal[
    "assistant_id",
    "graph_id",
    "name",
    "description",
    "config",
    "context",
    "created_at",
    "updated_at",
    "metadata",
    "version",
]
_MOST_DEPTH = 100


class _New(msgspec.Struct, frozen=True):
    graph_id: Word
    config: dict[str, Any] = {}
    context: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    assistant_id: Id | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"
    name: Word | None = None
    description: Word | None = None


class _Change(msgspec.Struct, frozen=True):
    graph_id: Word | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: Word | None = None
    description: Word | None = None


class _Search(msgspec.Struct, frozen=True):
    metadata: dict[str, Any] | None = None
    graph_id: Word | None = None
    name: Word | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Sort = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[Field] | None = None


class _Versions(msgspec.Struct, frozen=True):
    metadata: dict[str, Any] | None = None
    limit: Limit = 10
    offset: Offset = 0


class _Latest(msgspec.Struct, frozen=True):
    version: int


class _Door:
    def __init__(
        self, assistants: Assistants, delete_threads: Callable[[str, str], Awaitable[None]] | None
    ) -> None:
        self._assistants, self._delete_threads = assistants, delete_threads

    async def create(self, asked: Asked) -> Response:
        body, tenant = asked.decoded(_New), asked.key.tenant
        id = body.assistant_id or str(uuid.uuid4())
        changes = _changes(body)
        try:
            return said(_shown(await self._assistants.create(tenant, id, changes)))
        except Conflict:
            if body.if_exists == "raise":
                raise
        return said(_shown(await self._assistants.find(tenant, id)))

    async def get(self, asked: Asked) -> Response:
        return said(_shown(await self._assistants.find(asked.key.tenant, asked.path["assistant"])))

    async def update(self, asked: Asked) -> Response:
        changes = _changes(asked.decoded(_Change))
        return said(_shown(await self._assistants.update(asked.key.tenant, asked.path["assistant"], changes)))

    async def delete(self, asked: Asked) -> Response:
        tenant, id = asked.key.tenant, asked.path["assistant"]
        threads_too = is_yes(asked.query, "delete_threads")
        if threads_too and self._delete_threads is None:
            raise BadRequest("delete the threads of this assistant by themselves", param="delete_threads")
        await self._assistants.delete(tenant, id)
        if threads_too and self._delete_threads is not None:
            await self._delete_threads(tenant, id)
        return done()

    async def search(self, asked: Asked) -> Response:
        body = asked.decoded(_Search)
        query = _query(body)
        found, total = await self._assistants.search(asked.key.tenant, query)
        behind = body.offset + len(found)
        headers = {"x-pagination-total": str(total)}
        if behind < total:
            headers["x-pagination-next"] = str(behind)
        return said([chosen(_shown(each), body.select) for each in found], headers=headers)

    async def count(self, asked: Asked) -> Response:
        query = msgspec.structs.replace(_query(asked.decoded(_Search)), limit=0)
        return said((await self._assistants.search(asked.key.tenant, query))[1])

    async def versions(self, asked: Asked) -> Response:
        body = asked.decoded(_Versions)
        found = await self._assistants.versions(
            asked.key.tenant, asked.path["assistant"], body.metadata or {}, body.limit, body.offset
        )
        return said([_shown(each) for each in found])

    async def set_latest(self, asked: Asked) -> Response:
        tenant, id = asked.key.tenant, asked.path["assistant"]
        return said(_shown(await self._assistants.set_latest(tenant, id, asked.decoded(_Latest).version)))

    async def graph(self, asked: Asked) -> Response:
        query, xray = asked.query, asked.query.get("xray", "")
        counts = xray.isdecimal() and xray not in ("0", "1")
        depth = whole_of(query, "xray", 0, most=_MOST_DEPTH) if counts else is_yes(query, "xray")
        return said(await self._assistants.drawn(asked.key.tenant, asked.path["assistant"], depth))

    async def schemas(self, asked: Asked) -> Response:
        workflow, schemas = await self._assistants.schemas(asked.key.tenant, asked.path["assistant"])
        return said(_schemas(workflow, schemas))

    async def subgraphs(self, asked: Asked) -> Response:
        depth: Literal["all", "direct"] = "all" if is_yes(asked.query, "recurse") else "direct"
        namespace = asked.path.get("namespace")
        found = await self._assistants.subgraphs(asked.key.tenant, asked.path["assistant"], namespace, depth)
        return said({name: _schemas(name, schemas) for name, schemas in found.items()})


def assistant_routes(
    desk: Desk,
    assistants: Assistants,
    delete_threads: Callable[[str, str], Awaitable[None]] | None = None,
) -> list[Route]:
    """The routes of assistants. `delete_threads` deletes what a tenant's assistant, by its id, has of threads."""
    door, one = _Door(assistants, delete_threads), "/assistants/{assistant}"
    return [
        Route("/assistants", desk.door(door.create), methods=["POST"]),
        Route("/assistants/search", desk.door(door.search), methods=["POST"]),
        Route("/assistants/count", desk.door(door.count), methods=["POST"]),
        Route(one, desk.door(door.get), methods=["GET"]),
        Route(one, desk.door(door.update), methods=["PATCH"]),
        Route(one, desk.door(door.delete), methods=["DELETE"]),
        Route(f"{one}/graph", desk.door(door.graph), methods=["GET"]),
        Route(f"{one}/schemas", desk.door(door.schemas), methods=["GET"]),
        Route(f"{one}/subgraphs", desk.door(door.subgraphs), methods=["GET"]),
        Route(f"{one}/subgraphs/{{namespace:path}}", desk.door(door.subgraphs), methods=["GET"]),
        Route(f"{one}/versions", desk.door(door.versions), methods=["POST"]),
        Route(f"{one}/latest", desk.door(door.set_latest), methods=["POST"]),
    ]


def _changes(body: _New | _Change) -> Changes:
    return Changes(body.graph_id, body.config, body.context, body.metadata, body.name, body.description)


def _query(body: _Search) -> AssistantQuery:
    return AssistantQuery(
        body.metadata or {},
        body.graph_id,
        body.name,
        body.limit,
        body.offset,
        body.sort_by,
        body.sort_order == "asc",
    )


def _shown(assistant: Assistant) -> dict[str, Any]:
    return {
        "assistant_id": assistant.id,
        "graph_id": assistant.workflow,
        "config": assistant.config,
        "context": assistant.context,
        "metadata": assistant.metadata,
        "version": assistant.version,
        "name": assistant.name,
        "description": assistant.description or None,
        "created_at": moment(assistant.created_at),
        "updated_at": moment(assistant.updated_at),
    }


def _schemas(graph: str, schemas: GraphSchemas) -> dict[str, Any]:
    told = {f"{name}_schema": getattr(schemas, name) for name in schemas.__struct_fields__}
    return {"graph_id": graph, **told}
