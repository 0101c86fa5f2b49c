"""One leg of a run: from where its checkpoints say it stands to its end, an interrupt, a drain or a failure."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal

import msgspec
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from trimtab.core import Clock
from trimtab.store import WorkflowRunRow, WorkflowState, workflow_claims
from trimtab.workflows.batch import LostRun
from trimtab.workflows.beginning import config_of, given_of
from trimtab.workflows.graphs import Graph
from trimtab.workflows.order import RunTerms
from trimtab.workflows.place import RUN, RunPlace
from trimtab.workflows.saver import RunSaver
from trimtab.workflows.streaming import INTERRUPT, Telling, Values, stream
from trimtab.workflows.values import json_of

_MOST_ERROR_CHARACTERS = 2_000
Tell = Callable[[str, bytes], None]


class LegEnd(msgspec.Struct, frozen=True):
    """How a leg ended. `lost`: the run belongs to another worker by now, nothing may be written of it."""

    state: WorkflowState | Literal["lost"]
    output: bytes | None = None
    error: str = ""
    interrupts: tuple[Any, ...] = ()


class Leg:
    """Mutable, owned by the host as long as it runs. `ended` is set once the run's row says how; then `outcome` is that
    row, None where the run is another worker's."""

    def __init__(self, row: WorkflowRunRow, sure: Callable[[], Awaitable[None]]) -> None:
        self.row, self.terms = row, msgspec.json.decode(row.terms, type=RunTerms)
        self.control = RunControl()
        facts = (row.id, row.tenant, row.user, row.key, row.workflow, row.priority, row.deadline)
        self.place = RunPlace(*facts, sure, self.terms.models)
        self.ended = asyncio.Event()
        self.outcome: WorkflowRunRow | None = None
        self._task: asyncio.Task[Any] | None = None
        self._why: Literal["", "cancelled", "queued", "lost"] = ""

    async def drive(
        self,
        graph: Graph,
        saver: RunSaver,
        clock: Clock,
        answers: Mapping[str, object],
        tell: Tell | None = None,
    ) -> LegEnd:
        """Run to the leg's end; `answers` are all that the run was ever given, by question; `tell` hears its events."""
        self._task = task = asyncio.current_task()
        assert task is not None
        RUN.set(self.place)
        left = None if self.row.deadline is None else self.row.deadline - clock.now()
        try:
            if self._why:
                return LegEnd(self._why)
            async with asyncio.timeout(left) as timeout:
                return await self._driven(graph, saver, answers, tell)
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
                return LegEnd("failed", error=workflow_claims.LATE)
            return LegEnd("failed", error=_told(error))
        finally:
            # What follows, noting the end, is not to be cancelled.
            self._task = None

    async def _driven(
        self,
        graph: Graph,
        saver: RunSaver,
        answers: Mapping[str, object],
        tell: Tell | None,
    ) -> LegEnd:
        terms, config = self.terms, config_of(self.row, self.terms)
        given = await given_of(graph, self.row, terms, saver, config, answers)
        how: dict[str, Any] = {"durability": "sync", "control": self.control}
        how |= {
            name: value
            for name, value in (
                ("context", terms.context),
                ("interrupt_before", terms.interrupt_before),
                ("interrupt_after", terms.interrupt_after),
            )
            if value is not None
        }
        if tell is None:
            values = await graph.ainvoke(given, config, **how)
        else:
            values = await self._streamed(graph, given, config, how, tell)
        end = _end(values)
        stops = terms.interrupt_before is not None or terms.interrupt_after is not None
        if end.state == "done" and stops:
            config["configurable"].pop("checkpoint_id", None)
            if (await graph.aget_state(config)).next:
                return msgspec.structs.replace(end, state="waiting")
        return end

    async def _streamed(
        self,
        graph: Graph,
        given: Any,  # noqa: ANN401 - the input of whatever graph
        config: Any,  # noqa: ANN401 - LangGraph's own
        how: dict[str, Any],
        tell: Tell,
    ) -> Any:  # noqa: ANN401 - whatever the graph's output is
        values, terms = Values(), self.terms
        telling = Telling(terms.stream_mode, subgraphs=terms.stream_subgraphs)
        events = stream(graph, given, config, terms.stream_mode, telling, values, **how)
        async with aclosing(events):
            async for name, said in events:
                tell(name, json_of(said))
        return values.whole

    def drain(self) -> None:
        """End after the step under way."""
        self.control.request_drain("the worker is shutting down")

    def stop(self, why: Literal["cancelled", "queued", "lost"]) -> None:
        """End at once, with the calls under way."""
        self._why = self._why or why
        self.place.let_go()
        if self._task is not None:
            self._task.cancel()


def _told(error: Exception) -> str:
    """An error in words that every store takes."""
    text = f"{type(error).__name__}: {error}"[:_MOST_ERROR_CHARACTERS]
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _end(values: Any) -> LegEnd:  # noqa: ANN401 - whatever the graph's output is
    interrupts = tuple(values.get(INTERRUPT) or ()) if isinstance(values, dict) else ()
    return LegEnd("waiting" if interrupts else "done", json_of(values), interrupts=interrupts)
