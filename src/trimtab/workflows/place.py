"""Where the code is: which run (a context variable, set once a leg) and which step of it (told by LangGraph)."""

import hashlib
import threading
from collections.abc import Awaitable, Callable
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
        sure: Callable[[], Awaitable[None]] | None = None,
        models: tuple[str, ...] = (),
    ) -> None:
        self.run, self.tenant, self.user, self.key, self.workflow = run, tenant, user, key, workflow
        self.priority, self.deadline, self._sure, self.models = priority, deadline, sure, models
        self._named: dict[tuple[str, int, str], int] = {}
        self._waiting: set[Future[Any]] = set()
        self._threads: set[Future[Any]] = set()
        self._lock = threading.Lock()

    async def sure(self) -> None:
        """Return once it is sure that this process drives the run."""
        if self._sure is not None:
            await self._sure()

    def name_call(self, step: "StepPlace", body: bytes) -> "CallName | None":
        """The name of a call that a node makes; None outside of nodes."""
        if not step.task:
            return None
        digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
        known = (step.task, step.attempt, digest)
        with self._lock:
            ordinal = self._named.get(known, 0)
            self._named[known] = ordinal + 1
        return CallName(self.run, step.task, step.attempt, ordinal, digest)

    def occupy(self, work: "Future[Any]") -> None:
        """A plain function of the run's has a thread, and keeps it whatever becomes of the run."""
        self._threads.add(work)

    @property
    def occupied(self) -> "list[Future[Any]]":
        """The plain functions that are not done."""
        self._threads = {work for work in self._threads if not work.done()}
        return list(self._threads)

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


class CallName(msgspec.Struct, frozen=True):
    """A call that is made again when its node is driven again: which one it is of those with its body in an attempt
    of the node's task. That calls made side by side come in another order then does not matter."""

    run: str
    task: str
    attempt: int
    ordinal: int
    digest: str

    @property
    def key(self) -> str:
        """For endpoints."""
        return f"{self.run}:{self.task}:{self.attempt}:{self.ordinal}:{self.digest}"

    @property
    def lasting(self) -> str:
        """The same in whichever attempt of the task, and in whichever run its thread goes on."""
        return f"{self.task}:{self.ordinal}:{self.digest}"


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
