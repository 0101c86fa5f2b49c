"""Where the code is: which run (a context variable, set once a leg) and which step of it (told by LangGraph)."""

import hashlib
import threading
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import msgspec


_DIGEST_BYTES = 8


class RunPlace:
    """The run a leg drives. `waiting` are calls that threads of its nodes wait for: a cancel ends them."""

    def __init__(
        self,
        run: str,
        tenant: str,
        user: str,
        key: str,
        workflow: str,
        priority: int = 0,
        deadline: float | None = None,
    ) -> None:
        self.run, self.tenant, self.user, self.key, self.workflow = run, tenant, user, key, workflow
        self.priority, self.deadline = priority, deadline
        self._named: dict[str, int] = {}
        self._waiting: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def name_call(self, step: "StepPlace", body: bytes) -> str:
        """A name for a call of a node that is the same when the node is driven again: the run, the node's task, which
        attempt of it, which call of this body, and the body. '' outside of nodes."""
        if not step.task:
            return ""
        digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
        with self._lock:
            known = f"{step.task}:{step.attempt}:{digest}"
            ordinal = self._named.get(known, 0)
            self._named[known] = ordinal + 1
        return f"{self.run}:{step.task}:{step.attempt}:{ordinal}:{digest}"

    def note(self, future: "Future[Any]") -> None:
        """A thread waits for a call."""
        with self._lock:
            self._waiting.add(future)
        future.add_done_callback(self._forget)

    def let_go(self) -> None:
        """End the calls that threads wait for."""
        with self._lock:
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()

    def _forget(self, future: "Future[Any]") -> None:
        with self._lock:
            self._waiting.discard(future)


class StepPlace(msgspec.Struct, frozen=True):
    """A node: its name (`outer/inner` in a subgraph), the task LangGraph made of it, and which attempt this is."""

    step: str = ""
    task: str = ""
    attempt: int = 0


RUN: ContextVar[RunPlace | None] = ContextVar("trimtab_hosted_run", default=None)


def here() -> StepPlace:
    """The step the code is in; empty outside of any node, and in threads that were started without their context."""
    from langgraph.config import get_config

    try:
        config = get_config()
    except RuntimeError:
        return StepPlace()
    metadata = config.get("metadata") or {}
    levels = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
    step = "/".join(level.split(":")[0] for level in levels if level) or str(
        metadata.get("langgraph_node", "")
    )
    runtime = config.get("configurable", {}).get("__pregel_runtime")
    info = getattr(runtime, "execution_info", None)
    if info is None:
        return StepPlace(step)
    return StepPlace(step, str(info.task_id), int(info.node_attempt))


def idempotency_key() -> str:
    """A name for what the current node is doing, to be sent along with effects that must not happen twice.

    The same for a node that is driven again because its process died; another for each attempt of a retry policy and
    for each run. '' outside of a hosted run's nodes.
    """
    place, step = RUN.get(), here()
    return f"{place.run}:{step.task}:{step.attempt}" if place is not None and step.task else ""
