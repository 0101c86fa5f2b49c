"""Hosted runs and what they ask as JSON, for doors and programs; the LangGraph SDKs' words are `reception/`'s."""

import msgspec

from trimtab.store import QuestionRow, WorkflowRunRow

_BRIEF = ("thread", "workflow", "version", "state", "origin")
_STANDING = (
    "state",
    "thread",
    "version",
    "assistant",
    "priority",
    "deadline",
    "claim",
    "owner",
    "recoveries",
    "cancel_asked",
    "origin",
    "created_at",
    "updated_at",
    "error",
)
_CONTENT = ("input", "output", "terms", "metadata")
_ASKED = ("asked_at", "asked_of", "due_at", "escalated_at", "escalate_to")


def brief_json(row: WorkflowRunRow) -> dict[str, object]:
    """Which run it is, and what was told of it."""
    told = {name: getattr(row, name) for name in _BRIEF}
    return {"run": row.id, **told, "metadata": msgspec.Raw(row.metadata.encode())}


def standing_json(row: WorkflowRunRow) -> dict[str, object]:
    """How a run stands."""
    return {name: getattr(row, name) for name in _STANDING}


def facts_json(row: WorkflowRunRow) -> dict[str, object]:
    """All of a run but what it was given and gave back."""
    return {name: getattr(row, name) for name in row.__struct_fields__ if name not in _CONTENT}


def asked_json(asked: QuestionRow) -> dict[str, object]:
    """What is asked, of whom and until when."""
    return {name: getattr(asked, name) for name in _ASKED} | {"value": msgspec.Raw(asked.value)}
