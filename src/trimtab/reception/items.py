"""The store over HTTP, as the LangGraph SDKs speak of it: the caller's tenant's items and nobody else's."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import BadRequest
from trimtab.gateway import is_yes
from trimtab.reception.desk import Asked, Desk, done, said
from trimtab.reception.page import Limit, Offset
from trimtab.store import workflow_items
from trimtab.workflows import AllowanceOf, Room, TenantStore

_LIMIT, _NAMESPACES = 10, 100


class _Put(msgspec.Struct, frozen=True):
    namespace: list[str]
    key: str
    value: dict[str, Any]
    index: bool | list[str] | None = None
    ttl: float | None = None


class _Delete(msgspec.Struct, frozen=True):
    key: str
    namespace: list[str] = []


class _Search(msgspec.Struct, frozen=True):
    namespace_prefix: list[str] = []
    filter: dict[str, Any] | None = None
    limit: Limit = _LIMIT
    offset: Offset = 0
    query: str | None = None
    refresh_ttl: bool | None = None


class _Namespaces(msgspec.Struct, frozen=True):
    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: Annotated[int, msgspec.Meta(ge=1)] | None = None
    limit: Limit = _NAMESPACES
    offset: Offset = 0


class _Door:
    def __init__(self, store_of: Callable[[str], TenantStore], allowance_of: AllowanceOf) -> None:
        self._store_of, self._room = store_of, Room("items", workflow_items.count_all, allowance_of)

    async def put(self, asked: Asked) -> Response:
        body = asked.decoded(_Put)
        index: Literal[False] | list[str] | None = body.index if isinstance(body.index, list) else None
        if body.index is False:
            index = False
        await self._do(asked, PutOp(tuple(body.namespace), body.key, body.value, index, body.ttl))
        return done()

    async def delete(self, asked: Asked) -> Response:
        body = asked.decoded(_Delete)
        await self._do(asked, PutOp(tuple(body.namespace), body.key, None))
        return done()

    async def get(self, asked: Asked) -> Response:
        namespace = tuple(asked.query.get("namespace", "").split("."))
        refreshes = "refresh_ttl" not in asked.query or is_yes(asked.query, "refresh_ttl")
        found = await self._do(asked, GetOp(namespace, asked.query.get("key", ""), refreshes))
        return said(found.dict() if isinstance(found, Item) else None)

    async def search(self, asked: Asked) -> Response:
        body = asked.decoded(_Search)
        refreshes = body.refresh_ttl is not False
        prefix = tuple(body.namespace_prefix)
        op = SearchOp(prefix, body.filter, body.limit, body.offset, body.query or None, refreshes)
        found = await self._do(asked, op)
        return said({"items": [each.dict() for each in found]})

    async def namespaces(self, asked: Asked) -> Response:
        body = asked.decoded(_Namespaces)
        conditions = []
        if body.prefix:
            conditions.append(MatchCondition("prefix", tuple(body.prefix)))
        if body.suffix:
            conditions.append(MatchCondition("suffix", tuple(body.suffix)))
        found = await self._do(
            asked, ListNamespacesOp(tuple(conditions), body.max_depth, body.limit, body.offset)
        )
        return said({"namespaces": found})

    async def _do(self, asked: Asked, op: Op) -> Any:  # noqa: ANN401 - what the operation gives
        try:
            return (await self._store_of(asked.key.tenant).at_once([op], self._room))[0]
        except InvalidNamespaceError as error:
            raise BadRequest(str(error), param="namespace") from error


def item_routes(desk: Desk, store_of: Callable[[str], TenantStore], allowance_of: AllowanceOf) -> list[Route]:
    """The routes of the store; `store_of` gives a tenant's own."""
    door, items = _Door(store_of, allowance_of), "/store/items"
    return [
        Route(items, desk.door(door.put), methods=["PUT"]),
        Route(items, desk.door(door.delete), methods=["DELETE"]),
        Route(items, desk.door(door.get), methods=["GET"]),
        Route(f"{items}/search", desk.door(door.search), methods=["POST"]),
        Route("/store/namespaces", desk.door(door.namespaces), methods=["POST"]),
    ]
