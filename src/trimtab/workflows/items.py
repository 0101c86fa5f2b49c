"""The store that graphs and clients share, as LangGraph's `BaseStore`: one tenant's items and nobody else's.

Graphs are handed it as their store; it waits for a database that is away. Doors ask it `at_once`.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import msgspec
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)
from sqlalchemy import Connection

from trimtab.core.errors import BadRequest, StoreUnavailable
from trimtab.store import Database, ItemRow, workflow_items, workflow_workers
from trimtab.workflows.allowance import Room
from trimtab.workflows.likeness import Embed, Likeness, Place, vectors_of
from trimtab.workflows.matching import fits
from trimtab.workflows.transports import BlockedLoop

_AWAY_SECONDS = 0.5
_ANSWER_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0
_SWEPT_AT_ONCE, _BREATH_SECONDS = 500, 0.02
_ROOT_OF_LANGGRAPH = "langgraph"
_log = logging.getLogger(__name__)


class TenantStore(BaseStore):
    """Constructed by `app/` or the host, for one tenant. `embed` makes vectors of texts; without it there is no
    search by likeness."""

    __slots__ = ("_database", "_embed", "_tenant")
    supports_ttl = True

    def __init__(self, database: Database, tenant: str, embed: Embed | None = None) -> None:
        self._database, self._tenant, self._embed = database, tenant, embed

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """What the operations give; those that read see what was there before those that write.

        Raises InvalidNamespaceError, BadRequest.
        """
        listed = list(ops)
        while True:
            try:
                return await self.at_once(listed)
            except StoreUnavailable as error:
                _log.warning("the store waits for the database: %s", error)
            await asyncio.sleep(_AWAY_SECONDS)

    async def at_once(self, ops: Iterable[Op], room: Room | None = None) -> list[Result]:
        """`abatch` that raises StoreUnavailable too, and Conflict where there is no `room` for what is put."""
        listed = list(ops)
        work = await asyncio.to_thread(self._prepared, listed) if self._embed else self._prepared(listed)
        if work.reads:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await asyncio.to_thread(self._database.read, work.read)
            except TimeoutError as error:
                raise StoreUnavailable(f"no answer within {_ANSWER_SECONDS:g} s") from error
        if work.writes:
            await self._database.run(partial(work.write, room=room))
        return work.results

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """`abatch` for functions that are not async; in an async node it would stop every run of the process.

        Raises StoreUnavailable after a minute without the database.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise BlockedLoop
        work, until = self._prepared(list(ops)), time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                if work.reads:
                    self._database.read(work.read)
                if work.writes:
                    self._database.transact(work.write)
                return work.results
            except StoreUnavailable:
                if time.monotonic() > until:
                    raise
            time.sleep(_AWAY_SECONDS)

    def _prepared(self, ops: Sequence[Op]) -> "_Work":
        """The operations, checked, what is to be compared with as vectors."""
        for op in ops:
            _check(op)
        written = {(op.namespace, str(op.key)): op for op in ops if isinstance(op, PutOp)}
        queries = {op.query for op in ops if isinstance(op, SearchOp) and op.query}
        if queries and self._embed is None:
            raise BadRequest(
                "`query` needs an encoder, and this store has none; search by `filter`, or leave `query` out",
                param="query",
            )
        vectors = vectors_of(self._embed, list(written.values())) if self._embed else {}
        likeness = {query: Likeness(self._embed, query) for query in queries} if self._embed else {}
        puts = [(place, op, vectors.get(place)) for place, op in written.items()]
        return _Work(self._tenant, ops, puts, likeness)


class _Work:
    """A batch as a transaction that reads and one that writes; each may be done twice."""

    def __init__(
        self,
        tenant: str,
        ops: Sequence[Op],
        puts: Sequence[tuple[Place, PutOp, bytes | None]],
        likeness: dict[str, Likeness],
    ) -> None:
        self._tenant, self._ops, self._likeness = tenant, ops, likeness
        self._puts = [(_text(place[0]), place[1], op, vector) for place, op, vector in puts]
        self._values = [_json_of(op) for _, op, _ in puts]
        self._used: set[tuple[str, str]] = set()
        self.reads = any(not isinstance(op, PutOp) for op in ops)
        self.results: list[Result] = [None] * len(ops)

    @property
    def writes(self) -> bool:
        """Whether there is something to write, once it was read."""
        return bool(self._puts or self._used)

    def read(self, connection: Connection) -> None:
        """Find what is asked for."""
        now = workflow_workers.time_now(connection)
        self.results = [self._read(connection, op, now) for op in self._ops]

    def write(self, connection: Connection, room: Room | None = None) -> None:
        """Put, delete, and let the time of what was used begin anew. Raises Conflict where there is no `room`."""
        now = workflow_workers.time_now(connection)
        workflow_items.refresh(connection, self._tenant, self._used, now)
        put = list(zip(self._puts, self._values, strict=True))
        gone = {(namespace, key) for (namespace, key, _, _), value in put if value is None}
        workflow_items.remove(connection, self._tenant, gone)
        rows = [
            _row(self._tenant, namespace, key, value, vector, op.ttl, now)
            for (namespace, key, op, vector), value in put
            if value is not None
        ]
        workflow_items.put(connection, rows, now)
        if rows and room is not None:
            room.require(connection, self._tenant)

    def _read(self, connection: Connection, op: Op, now: float) -> Result:
        if isinstance(op, GetOp):
            place = (_text(op.namespace), str(op.key))
            row = workflow_items.find(connection, self._tenant, [place], now).get(place)
            if row is None:
                return None
            if op.refresh_ttl:
                self._note(row)
            return _item(row)
        if isinstance(op, SearchOp):
            found = self._found(connection, op, now)
            if op.refresh_ttl:
                self._note(*[row for row, _ in found])
            return [_search_item(row, score) for row, score in found]
        if isinstance(op, ListNamespacesOp):
            return _listed(workflow_items.namespaces(connection, self._tenant, _start_of(op), now), op)
        return None

    def _note(self, *rows: ItemRow) -> None:
        self._used.update((row.namespace, row.key) for row in rows if row.ttl_seconds is not None)

    def _found(self, connection: Connection, op: SearchOp, now: float) -> list[tuple[ItemRow, float | None]]:
        prefix, end = _text(op.namespace_prefix), op.offset + op.limit
        if not op.query and not op.filter:
            rows = workflow_items.page(connection, self._tenant, prefix, now, op.limit, op.offset)
            return [(row, None) for row in rows]
        rows_there = workflow_items.walk(connection, self._tenant, prefix, now)
        fitting = (row for row in rows_there if fits(msgspec.json.decode(row.value), op.filter or {}))
        if op.query:
            return self._likeness[op.query].nearest(fitting, end)[op.offset :]
        found: list[tuple[ItemRow, float | None]] = []
        for row in fitting:
            if len(found) == end:
                break
            found.append((row, None))
        return found[op.offset :]


def _row(
    tenant: str, namespace: str, key: str, value: bytes, vector: bytes | None, ttl: float | None, now: float
) -> ItemRow:
    seconds = None if ttl is None else ttl * 60
    ends = None if seconds is None else now + seconds
    return ItemRow(tenant, namespace, key, value, vector, now, now, ends, seconds)


async def sweep_items(database: Database) -> int:
    """Delete items whose time is over by the database's clock, of all tenants; how many. Raises StoreUnavailable."""

    def work(connection: Connection) -> int:
        return workflow_items.sweep(connection, workflow_workers.time_now(connection), _SWEPT_AT_ONCE)

    swept = 0
    while gone := await database.run(work):
        swept += gone
        await asyncio.sleep(_BREATH_SECONDS)
    return swept


def _check(op: Op) -> None:
    """Raises InvalidNamespaceError, BadRequest."""
    validate_op_namespace(op)
    if isinstance(op, GetOp | PutOp) and (not op.key or "\0" in str(op.key)):
        raise BadRequest("a key is a text of at least one character, none of them NUL", param="key")
    if isinstance(op, SearchOp | ListNamespacesOp) and (op.limit < 0 or op.offset < 0):
        raise BadRequest("`limit` and `offset` are not below 0", param="limit")
    if isinstance(op, SearchOp):
        fits({}, op.filter or {})
    if not isinstance(op, PutOp):
        return
    if not op.namespace:
        raise InvalidNamespaceError("a namespace has at least one label")
    if op.namespace[0] == _ROOT_OF_LANGGRAPH:
        raise InvalidNamespaceError(
            f"a namespace does not begin with {_ROOT_OF_LANGGRAPH!r}; take another label"
        )
    if op.ttl is not None and not op.ttl > 0:
        raise BadRequest("`ttl` is a number of minutes above 0", param="ttl")


def _json_of(op: PutOp) -> bytes | None:
    try:
        return None if op.value is None else msgspec.json.encode(op.value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadRequest(f"the value of {op.key!r} is no JSON: {error}", param="value") from error


def _text(namespace: Sequence[str]) -> str:
    return ".".join(namespace)


def _start_of(op: ListNamespacesOp) -> str:
    """What every namespace that is asked for begins with."""
    for condition in op.match_conditions or ():
        if condition.match_type == "prefix":
            path = list(condition.path)
            return _text(path[: path.index("*")] if "*" in path else path)
    return ""


def _listed(names: Iterable[str], op: ListNamespacesOp) -> list[tuple[str, ...]]:
    spaces = [tuple(name.split(".")) for name in names]
    asked = op.match_conditions or ()
    found = {space[: op.max_depth] for space in spaces if all(_matches(each, space) for each in asked)}
    return sorted(found)[op.offset : op.offset + op.limit]


def _matches(condition: MatchCondition, space: tuple[str, ...]) -> bool:
    path = tuple(condition.path)
    if len(path) > len(space):
        return False
    part = space[: len(path)] if condition.match_type == "prefix" else space[len(space) - len(path) :]
    return all(asked in ("*", label) for asked, label in zip(path, part, strict=True))


def _item(row: ItemRow) -> Item:
    return Item(
        value=msgspec.json.decode(row.value),
        key=row.key,
        namespace=tuple(row.namespace.split(".")),
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
    )


def _search_item(row: ItemRow, score: float | None) -> SearchItem:
    found = _item(row)
    return SearchItem(found.namespace, found.key, found.value, found.created_at, found.updated_at, score)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
