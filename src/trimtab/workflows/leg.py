"""One leg of a run: from where its checkpoints say it stands to its end, an interrupt, a drain or a failure."""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Command

from trimtab.core import Clock
from trimtab.store import WorkflowRunRow, WorkflowState
from trimtab.workflows.batch import LostRun
from trimtab.workflows.place import RUN, RunPlace
from trimtab.workflows.saver import RunSaver
from trimtab.workflows.values import input_of, json_of

INTERRUPT = "__interrupt__"
_MOST_ERROR_CHARACTERS = 2_000


class LegEnd(msgspec.Struct, frozen=True):
    """How a leg ended. `lost`: the run belongs to another worker by now, nothing may be written of it."""

    state: WorkflowState | Literal["lost"]
    output: bytes | None = None
    error: str = ""
    interrupts: tuple[Any, ...] = ()


class Leg:
    """Mutable, owned by the host as long as it runs. `ended` is set once the run's row says how."""

    def __init__(self, row: WorkflowRunRow) -> None:
        self.row = row
        self.control = RunControl()
        self.place = RunPlace(row.id, row.tenant, row.user, row.key, row.workflow, row.priority, row.deadline)
        self.ended = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        self._why: Literal["", "cancelled", "queued", "lost"] = ""

    async def drive(
        self,
        graph: "Pregel[Any, Any, Any, Any]",
        saver: RunSaver,
        clock: Clock,
        answers: Mapping[str, object],
    ) -> LegEnd:
        """Run to the leg's end; `answers` are all that the run was ever given, by question."""
        self._task = task = asyncio.current_task()
        assert task is not None
        RUN.set(self.place)
        left = None if self.row.deadline is None else self.row.deadline - clock.now()
        try:
            if self._why:
                return LegEnd(self._why)
            async with asyncio.timeout(left) as timeout:
                return _end(await self._values(graph, saver, answers))
        except LostRun:
            return LegEnd("lost")
        except GraphDrained:
            return LegEnd("queued")
        except asyncio.CancelledError:
            if not self._why:
                raise
            task.uncancel()
            return LegEnd(self._why)
        except Exception as error:  # whatever a user's node raises ends its run, not the house
            if isinstance(error, TimeoutError) and timeout.expired():
                return LegEnd("failed", error="the run's deadline passed")
            return LegEnd("failed", error=f"{type(error).__name__}: {error}"[:_MOST_ERROR_CHARACTERS])
        finally:
            # What follows, noting the end, is not to be cancelled.
            self._task = None

    async def _values(
        self, graph: "Pregel[Any, Any, Any, Any]", saver: RunSaver, answers: Mapping[str, object]
    ) -> Any:  # noqa: ANN401 - whatever the graph's output is
        config: RunnableConfig = {
            "configurable": {"thread_id": self.row.thread, "__pregel_strict_resume": True}
        }
        if await saver.aget_tuple(config) is None:
            given = input_of(self.row.input)
        else:
            given = await _answered(graph, config, answers)
        return await graph.ainvoke(given, config, durability="sync", control=self.control)

    def drain(self) -> None:
        """End after the step under way."""
        self.control.request_drain("the worker is shutting down")

    def stop(self, why: Literal["cancelled", "queued", "lost"]) -> None:
        """End at once, with the calls under way."""
        self._why = self._why or why
        self.place.let_go()
        if self._task is not None:
            self._task.cancel()


def _end(values: Any) -> LegEnd:  # noqa: ANN401 - whatever the graph's output is
    interrupts = tuple(values.get(INTERRUPT) or ()) if isinstance(values, dict) else ()
    return LegEnd("waiting" if interrupts else "done", json_of(values), interrupts=interrupts)


async def _answered(
    graph: "Pregel[Any, Any, Any, Any]", config: RunnableConfig, answers: Mapping[str, object]
) -> "Command[Any] | None":
    """The answers to what the graph waits for now. An older leg may have handed in some of them already."""
    if not answers:
        return None
    state = await graph.aget_state(config, subgraphs=True)
    pending = {interrupted.id for interrupted in state.interrupts}
    resume = {id: value for id, value in answers.items() if id in pending}
    return Command(resume=resume) if resume else None
