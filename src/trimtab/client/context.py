"""Which run and step the code is in, kept in context variables and sent along as headers."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class RunContext(msgspec.Struct, frozen=True):
    """What headers will say. Times in seconds."""

    run: str
    workflow: str = ""
    step: str = ""
    user: str = ""
    task: str = ""
    agent: str = ""
    priority: int | None = None
    timeout_seconds: float | None = None


_current: ContextVar[RunContext | None] = ContextVar("trimtab_run", default=None)
_NAMES = {
    "run": "x-trimtab-run",
    "workflow": "x-trimtab-workflow",
    "step": "x-trimtab-step",
    "user": "x-trimtab-user",
    "task": "x-trimtab-task",
    "agent": "x-trimtab-agent",
    "priority": "x-trimtab-priority",
    "timeout_seconds": "x-trimtab-timeout-seconds",
}


@contextmanager
def run(
    workflow: str = "",
    *,
    id: str | None = None,
    user: str = "",
    task: str = "",
    agent: str = "",
    priority: int | None = None,
    timeout_seconds: float | None = None,
) -> Iterator[RunContext]:
    """Everything called inside belongs to one run; its id is made up unless given."""
    entered = RunContext(
        run=id or uuid.uuid4().hex,
        workflow=workflow,
        user=user,
        task=task,
        agent=agent,
        priority=priority,
        timeout_seconds=timeout_seconds,
    )
    token = _current.set(entered)
    try:
        yield entered
    finally:
        _current.reset(token)


@contextmanager
def step(name: str) -> Iterator[RunContext]:
    """Everything called inside belongs to this step of the current run (or of a new one)."""
    outer = _current.get() or RunContext(run=uuid.uuid4().hex)
    entered = msgspec.structs.replace(outer, step=name)
    token = _current.set(entered)
    try:
        yield entered
    finally:
        _current.reset(token)


def headers() -> dict[str, str]:
    """The headers of the current run and step; empty outside of any."""
    current = _current.get()
    if current is None:
        return {}
    values = {header: getattr(current, name) for name, header in _NAMES.items()}
    return {header: str(value) for header, value in values.items() if value not in ("", None)}
