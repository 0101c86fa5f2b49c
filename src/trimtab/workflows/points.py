"""Points of a run: its checkpoints as places to look at, to fork from, to go on from. Read without the graph, and
without making objects of what is kept in them.

Source: the msgpack of langgraph-checkpoint 4's `JsonPlusSerializer`, LangGraph 1.2's channel names.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from trimtab.core.errors import BadRequest, Conflict, NotFound
from trimtab.store import CheckpointMark, CheckpointRow, WorkflowRunRow, key_of, workflow_checkpoints
from trimtab.workflows.graphs import HostedGraph

_START = "__start__"
_KIND = "msgpack"
_BRANCH, _JOIN, _SENDS = "branch:to:", "join:", "__pregel_tasks"
# Extension codes 0 to 2: an object as [module, class, argument(s)].
_MOST_CODE = 2


class Point(msgspec.Struct, frozen=True):
    """A checkpoint of a run's own graph. `to_come` are the nodes that a run goes on with from there; `at` is ISO."""

    id: str
    step: int
    source: str
    at: str
    to_come: tuple[str, ...]


class Facts(msgspec.Struct, frozen=True):
    """What a checkpoint says of itself. `parents` are those its graph is nested in, by namespace."""

    step: int = -2
    source: str = ""
    parents: dict[str, str] = {}


class _Body(msgspec.Struct):
    ts: str = ""
    channel_values: dict[str, Any] = {}


class _Made(msgspec.Struct, frozen=True):
    """An object that was not made."""

    kind: str
    argument: Any


def facts_of(metadata: bytes) -> Facts:
    """A checkpoint's metadata."""
    return msgspec.json.decode(metadata, type=Facts)


def point_of(row: CheckpointRow) -> Point:
    """A checkpoint as a point."""
    facts, body = facts_of(row.metadata), _body(row)
    return Point(row.id, facts.step, facts.source, body.ts, tuple(sorted(set(_to_come(body.channel_values)))))


def _body(row: CheckpointRow) -> _Body:
    if row.kind != _KIND:
        return _Body()
    try:
        return msgspec.msgpack.decode(row.body, type=_Body, ext_hook=_unmade)
    except (msgspec.DecodeError, TypeError):
        # A state may have keys that only its own classes can make.
        return _Body()


def _unmade(code: int, data: memoryview) -> Any:  # noqa: ANN401 - whatever was kept
    if code > _MOST_CODE:
        return None
    told = msgspec.msgpack.decode(data, ext_hook=_unmade)
    return _Made(str(told[1]), told[2]) if isinstance(told, list) and len(told) > _MOST_CODE else None


def _to_come(values: Mapping[str, Any]) -> Iterator[str]:
    for channel, value in values.items():
        if channel == _START:
            yield _START
        elif channel.startswith(_BRANCH):
            yield channel.removeprefix(_BRANCH)
        elif channel.startswith(_JOIN):
            awaited, _, node = channel.removeprefix(_JOIN).rpartition(":")
            arrived = value.argument if isinstance(value, _Made) else value
            if isinstance(arrived, list) and set(awaited.split("+")) <= set(arrived):
                yield node
        elif channel == _SENDS and isinstance(value, list):
            yield from (str(sent.argument[0]) for sent in value if isinstance(sent, _Made))


def marks_of(connection: Connection, row: WorkflowRunRow) -> list[CheckpointMark]:
    """The checkpoints of a run's own graph, the latest first."""
    marks = workflow_checkpoints.marks(connection, key_of(row.tenant, row.thread), "")
    return [mark for mark in marks if mark.run == row.id]


def points_of(connection: Connection, row: WorkflowRunRow, limit: int) -> list[Point]:
    """A run's points, the latest first."""
    found = (find(connection, row, mark.id) for mark in marks_of(connection, row)[:limit])
    return [point_of(known) for known in found if known is not None]


def find(connection: Connection, row: WorkflowRunRow, id: str) -> CheckpointRow | None:
    """A checkpoint of a run's own graph by its id."""
    return workflow_checkpoints.find(connection, key_of(row.tenant, row.thread), "", id)


def chosen(
    row: WorkflowRunRow, marks: Sequence[CheckpointMark], checkpoint: str, step: int | None
) -> CheckpointMark:
    """The point that is named by its id or its step; the latest where neither is. Raises BadRequest, NotFound."""
    if checkpoint and step is not None:
        raise BadRequest("name a checkpoint or a step, not both", param="step")
    for mark in marks:
        if checkpoint in ("", mark.id) and step in (None, facts_of(mark.metadata).step):
            return mark
    named = f"no checkpoint {checkpoint!r}" if checkpoint else "no checkpoint yet"
    named = named if step is None else f"no step {step}"
    steps = sorted({facts_of(mark.metadata).step for mark in marks})
    known = f" (it has steps {steps[0]} to {steps[-1]})" if steps else ""
    raise NotFound(f"run {row.id} has {named}{known}", code="checkpoint_not_found")


def require_nodes(point: Point, hosted: HostedGraph, row: WorkflowRunRow) -> None:
    """Raises Conflict where a graph lacks a node that is to come."""
    missing = sorted(set(point.to_come) - set(hosted.graph.nodes) - {_START})
    if missing:
        raise Conflict(
            f"run {row.id} of version {row.version} goes on with {', '.join(missing)}, which version "
            f"{hosted.version} of {row.workflow!r}, hosted here, does not have",
            code="node_not_found",
        )
