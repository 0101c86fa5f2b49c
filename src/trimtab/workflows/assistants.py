"""Assistants: workflows with settings of their own. Each workflow has one by itself; tenants make more, in versions.

An assistant may be named by its id, a workflow's own also by the workflow's name.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from trimtab.core import Clock
from trimtab.core.errors import BadRequest, Conflict, Forbidden, NotFound
from trimtab.store import AssistantRow, Database, workflow_assistants
from trimtab.workflows.graphs import HostedGraph
from trimtab.workflows.order import RunTerms, RunWishes
from trimtab.workflows.schemas import GraphSchemas, schemas_of, subgraphs_of
from trimtab.workflows.values import facts_text

AssistantSort = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
_NAMESPACE = uuid.UUID("8f3c1a52-6d0e-5b7a-9c41-2f7be0d1c9a4")
_SYSTEM: Mapping[str, Any] = {"created_by": "system"}
_UNTITLED = "Untitled"


class Assistant(msgspec.Struct, frozen=True):
    """One version of an assistant. `config` and `context` are what its runs have unless they bring their own;
    `created_at` is the assistant's, `updated_at` the version's, both in epoch seconds."""

    id: str
    workflow: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    version: int
    name: str
    description: str
    created_at: float
    updated_at: float


class Changes(msgspec.Struct, frozen=True):
    """What a new version has of its own; None is as it was. `metadata` is added to what there is."""

    workflow: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None


class AssistantQuery(msgspec.Struct, frozen=True):
    """What a list is narrowed to, and how it is ordered. `name` is a part of the name, in any case."""

    metadata: dict[str, Any] = {}
    workflow: str | None = None
    name: str | None = None
    limit: int = 10
    offset: int = 0
    sort_by: AssistantSort = "created_at"
    ascending: bool = False


def default_id(workflow: str) -> str:
    """The id of the assistant that a workflow has by itself: the same everywhere and always."""
    return str(uuid.uuid5(_NAMESPACE, workflow))


class Assistants:
    """Constructed by `app/`. Every method raises StoreUnavailable."""

    def __init__(self, database: Database, graphs: Mapping[str, HostedGraph], clock: Clock) -> None:
        self._database, self._graphs, self._clock = database, graphs, clock
        self._defaults = {default_id(workflow): workflow for workflow in graphs}

    async def resolve(self, tenant: str, assistant: str) -> Assistant:
        """The assistant to run. Raises NotFound, also where its workflow is not hosted here."""
        found = await self.find(tenant, assistant)
        self._require(found.workflow)
        return found

    async def find(self, tenant: str, assistant: str) -> Assistant:
        """An assistant's latest version. Raises NotFound."""
        workflow = self._workflow_of(assistant)
        if workflow is not None:
            return _default(workflow)
        row = await self._database.run(lambda c: workflow_assistants.find(c, tenant, assistant))
        if row is None:
            raise _unknown(assistant, self._graphs)
        return _assistant(row)

    async def create(self, tenant: str, id: str, changes: Changes) -> Assistant:
        """A new assistant. Raises NotFound where its workflow is not hosted, Conflict where the id is taken."""
        workflow = changes.workflow or ""
        self._require(workflow)
        now = self._clock.now()
        row = _changed(
            AssistantRow(tenant, id, 1, True, "", _UNTITLED, "", b"{}", b"{}", "{}", now, now), changes
        )
        taken = self._workflow_of(id) is not None
        if taken or not await self._database.run(lambda c: workflow_assistants.add(c, row)):
            raise Conflict(
                f"there is an assistant {id!r}; update it, or name another id", param="assistant_id"
            )
        return _assistant(row)

    async def update(self, tenant: str, assistant: str, changes: Changes) -> Assistant:
        """A new version, the latest from now on. Raises NotFound, Forbidden."""
        self._require_own(assistant)
        if changes.workflow is not None:
            self._require(changes.workflow)
        now = self._clock.now()

        def work(connection: Connection) -> AssistantRow | None:
            workflow_assistants.lock(connection, tenant, assistant)
            row = workflow_assistants.find(connection, tenant, assistant)
            if row is None:
                return None
            changed = msgspec.structs.replace(_changed(row, changes), updated_at=now)
            return workflow_assistants.append(connection, changed)

        return await self._told(work, assistant)

    async def set_latest(self, tenant: str, assistant: str, version: int) -> Assistant:
        """Go back, or forth, to a version. Raises NotFound, Forbidden."""
        self._require_own(assistant)

        def work(connection: Connection) -> AssistantRow | None:
            workflow_assistants.lock(connection, tenant, assistant)
            if not workflow_assistants.set_latest(connection, tenant, assistant, version):
                return None
            return workflow_assistants.find(connection, tenant, assistant)

        return await self._told(work, assistant, version)

    async def delete(self, tenant: str, assistant: str) -> None:
        """Delete an assistant with its versions and crons. Raises NotFound, Forbidden."""
        self._require_own(assistant)
        if not await self._database.run(lambda c: workflow_assistants.remove(c, tenant, assistant)):
            raise _unknown(assistant, self._graphs)

    async def versions(
        self, tenant: str, assistant: str, metadata: Mapping[str, Any], limit: int, offset: int
    ) -> list[Assistant]:
        """Versions whose metadata has these facts, the newest first. Raises NotFound."""
        known = await self.find(tenant, assistant)
        if known.id in self._defaults:
            return [known][offset : offset + limit] if _has(known.metadata, metadata) else []
        rows = await self._database.run(
            lambda c: workflow_assistants.versions(c, tenant, known.id, metadata, limit, offset)
        )
        return [_assistant(row) for row in rows]

    async def search(self, tenant: str, query: AssistantQuery) -> tuple[list[Assistant], int]:
        """A page of the assistants there are for a tenant, and how many there are on all pages."""
        rows = await self._database.run(
            lambda c: workflow_assistants.search(c, tenant, query.metadata, query.workflow)
        )
        defaults = [_default(name) for name in self._graphs if query.workflow in (None, name)]
        found = [each for each in defaults if _has(each.metadata, query.metadata)]
        found += [_assistant(row) for row in rows]
        if query.name:
            found = [each for each in found if query.name.lower() in each.name.lower()]
        found.sort(key=lambda each: each.id)
        found.sort(key=_ORDER[query.sort_by], reverse=not query.ascending)
        return found[query.offset : query.offset + query.limit], len(found)

    async def drawn(self, tenant: str, assistant: str, xray: int | bool) -> dict[str, Any]:
        """The graph as nodes and edges, subgraphs drawn in down to the depth `xray`. Raises NotFound."""
        graph = self._graphs[(await self.resolve(tenant, assistant)).workflow].graph
        return await asyncio.to_thread(lambda: graph.get_graph(xray=xray).to_json())

    async def schemas(self, tenant: str, assistant: str) -> tuple[str, GraphSchemas]:
        """The workflow, and what its graph takes and gives. Raises NotFound."""
        workflow = (await self.resolve(tenant, assistant)).workflow
        return workflow, await asyncio.to_thread(schemas_of, self._graphs[workflow].graph)

    async def subgraphs(
        self, tenant: str, assistant: str, namespace: str | None, depth: Literal["direct", "all"]
    ) -> dict[str, GraphSchemas]:
        """What the graph's subgraphs take and give, by their namespace (`outer|inner`). Raises NotFound."""
        graph = self._graphs[(await self.resolve(tenant, assistant)).workflow].graph
        return await asyncio.to_thread(subgraphs_of, graph, namespace, depth)

    async def _told(
        self, work: Callable[[Connection], AssistantRow | None], assistant: str, version: int | None = None
    ) -> Assistant:
        row = await self._database.run(work)
        if row is None:
            raise _unknown(assistant, self._graphs, version)
        return _assistant(row)

    def _workflow_of(self, assistant: str) -> str | None:
        return assistant if assistant in self._graphs else self._defaults.get(assistant)

    def _require(self, workflow: str) -> None:
        if workflow not in self._graphs:
            hosted = ", ".join(sorted(self._graphs)) or "none"
            raise NotFound(f"no workflow {workflow!r} is hosted here (hosted: {hosted})", param="graph_id")

    def _require_own(self, assistant: str) -> None:
        if self._workflow_of(assistant) is not None:
            raise Forbidden(
                f"{assistant!r} is the workflow's own assistant and stays as it is; create one of your own",
                param="assistant_id",
            )


_ORDER: Mapping[AssistantSort, Callable[[Assistant], Any]] = {
    "assistant_id": lambda each: each.id,
    "graph_id": lambda each: each.workflow,
    "name": lambda each: each.name.lower(),
    "created_at": lambda each: each.created_at,
    "updated_at": lambda each: each.updated_at,
}


def _default(workflow: str) -> Assistant:
    # Its moment is the same in every process, so that pages of a list fit together.
    return Assistant(default_id(workflow), workflow, {}, {}, dict(_SYSTEM), 1, workflow, "", 0.0, 0.0)


def _assistant(row: AssistantRow) -> Assistant:
    config, context, metadata = (
        msgspec.json.decode(text) for text in (row.config, row.context, row.metadata)
    )
    shared = {name: getattr(row, name) for name in ("id", "workflow", "version", "name", "description")}
    return Assistant(
        **shared,
        config=config,
        context=context,
        metadata=metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _changed(row: AssistantRow, changes: Changes) -> AssistantRow:
    told: dict[str, Any] = {}
    for name in ("workflow", "name", "description"):
        if (value := getattr(changes, name)) is not None:
            told[name] = value
    for name in ("config", "context"):
        if (value := getattr(changes, name)) is not None:
            told[name] = msgspec.json.encode(value)
    if changes.metadata is not None:
        told["metadata"] = facts_text(msgspec.json.decode(row.metadata) | changes.metadata)
    return msgspec.structs.replace(row, **told)


def _has(metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    return all(name in metadata and metadata[name] == value for name, value in facts.items())


def _unknown(assistant: str, graphs: Mapping[str, HostedGraph], version: int | None = None) -> NotFound:
    which = f"assistant {assistant!r}" + ("" if version is None else f" in version {version}")
    hosted = ", ".join(sorted(graphs)) or "none"
    return NotFound(f"there is no {which} (workflows hosted here: {hosted})", param="assistant_id")


def terms_of(
    assistant: Assistant,
    wishes: RunWishes,
    *,
    streamed: bool,
    on_completion: Literal["keep", "delete"],
    models: tuple[str, ...],
) -> RunTerms:
    """The terms of a run: its wishes, put over what the assistant has of config and context. Raises BadRequest."""
    config: dict[str, Any] = msgspec.to_builtins(wishes.config) or {}
    settings = {**_settings(assistant.config), **_settings(config)}
    modes = wishes.stream_mode or "values"
    return RunTerms(
        config={**assistant.config, **config, **({"configurable": settings} if settings else {})},
        context={**assistant.context, **(wishes.context or {})} or None,
        interrupt_before=wishes.interrupt_before,
        interrupt_after=wishes.interrupt_after,
        stream_mode=(modes,) if isinstance(modes, str) else modes,
        stream_subgraphs=bool(wishes.stream_subgraphs),
        streamed=streamed,
        on_completion=on_completion,
        models=models,
    )


def _settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = config.get("configurable") or {}
    if not isinstance(settings, Mapping):
        raise BadRequest("config.configurable is an object", param="config.configurable")
    return settings
