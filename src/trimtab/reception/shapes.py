"""Threads, states and runs as the LangGraph SDKs read them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, PregelTask, StateSnapshot

from trimtab.store import FoundThread, WorkflowRunRow, WorkflowState, workflow_claims
from trimtab.workflows import default_id, json_of

_STATUS: Mapping[WorkflowState, str] = {
    "queued": "pending",
    "running": "running",
    "waiting": "interrupted",
    "done": "success",
    "failed": "error",
    "parked": "error",
    "cancelled": "interrupted",
    "superseded": "interrupted",
}
STATES: Mapping[str, tuple[WorkflowState, ...]] = {
    "pending": ("queued",),
    "running": ("running",),
    "interrupted": ("waiting", "cancelled", "superseded"),
    "success": ("done",),
    "error": ("failed", "parked"),
    "timeout": ("failed",),
}
# A state that is of two statuses, told apart by the run's error.
MIXED = ("error", "timeout")


def moment(seconds: float) -> str:
    """Epoch seconds as ISO 8601 text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def status_of(row: WorkflowRunRow) -> str:
    """A run's status in the SDKs' words."""
    return "timeout" if row.state == "failed" and row.error == workflow_claims.LATE else _STATUS[row.state]


def run_json(row: WorkflowRunRow) -> dict[str, Any]:
    """The SDKs' `Run`; `kwargs` is what it was asked with, `error` is ours."""
    return {
        "run_id": row.id,
        "thread_id": row.thread,
        "assistant_id": row.assistant or default_id(row.workflow),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "status": status_of(row),
        "metadata": msgspec.Raw(row.metadata.encode()),
        "kwargs": {"input": msgspec.Raw(row.input), **msgspec.json.decode(row.terms)},
        "multitask_strategy": row.multitask,
        "error": row.error or None,
    }


def thread_json(found: FoundThread, state: StateSnapshot | None) -> dict[str, Any]:
    """The SDKs' `Thread`."""
    row = found.row
    values: object = msgspec.Raw(found.output or b"null")
    if state is not None:
        values = msgspec.Raw(json_of(state.values))
    return {
        "thread_id": row.id,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "metadata": msgspec.Raw(row.metadata.encode()),
        "status": found.status,
        "values": values,
        "interrupts": {} if state is None else _interrupts_by_task(state.tasks),
        "config": {},
        "error": None,
    }


def _interrupts_by_task(tasks: Iterable[PregelTask]) -> dict[str, list[object]]:
    return {task.id: _interrupts(task.interrupts) for task in tasks if task.interrupts}


def _interrupts(interrupts: Iterable[Interrupt]) -> list[object]:
    return [{"value": msgspec.Raw(json_of(told.value)), "id": told.id} for told in interrupts]


def state_json(state: StateSnapshot | None) -> dict[str, Any]:
    """The SDKs' `ThreadState`; an empty one for a thread without any."""
    if state is None:
        none: dict[str, Any] = {"values": {}, "next": [], "tasks": [], "interrupts": [], "metadata": {}}
        return none | {"checkpoint": None, "created_at": None, "parent_checkpoint": None}
    return {
        "values": msgspec.Raw(json_of(state.values)),
        "next": list(state.next),
        "tasks": [_task(task) for task in state.tasks],
        "interrupts": _interrupts(state.interrupts),
        "metadata": msgspec.Raw(json_of(state.metadata or {})),
        "checkpoint": checkpoint_json(state.config),
        "created_at": state.created_at,
        "parent_checkpoint": checkpoint_json(state.parent_config),
    }


def _task(task: PregelTask) -> dict[str, Any]:
    inner = task.state
    return {
        "id": task.id,
        "name": task.name,
        "error": None if task.error is None else str(task.error),
        "interrupts": _interrupts(task.interrupts),
        "path": [str(part) for part in task.path],
        "checkpoint": checkpoint_json(inner) if isinstance(inner, dict) else None,
        "state": state_json(inner) if isinstance(inner, StateSnapshot) else None,
        "result": msgspec.Raw(json_of(task.result)),
    }


def checkpoint_json(config: RunnableConfig | None) -> dict[str, Any] | None:
    """Where a checkpoint lies."""
    place = (config or {}).get("configurable") or {}
    if "checkpoint_id" not in place and "checkpoint_ns" not in place:
        return None
    names = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
    return {name: place.get(name) for name in names}
