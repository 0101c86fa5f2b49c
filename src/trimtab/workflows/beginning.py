"""What a graph is given when a leg begins: the run's input or command, or the answers it waits for."""

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Send
from msgspec import UNSET

from trimtab.core.errors import BadRequest
from trimtab.store import WorkflowRunRow
from trimtab.workflows.graphs import Graph
from trimtab.workflows.order import CommandTerms, RunTerms
from trimtab.workflows.saver import RunSaver
from trimtab.workflows.values import input_of

_RESERVED = ("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")


def config_of(row: WorkflowRunRow, terms: RunTerms) -> RunnableConfig:
    """The configuration a run is driven with: what was asked for, under names of ours that cannot be taken."""
    asked = terms.config
    configurable = {
        name: value
        for name, value in (asked.get("configurable") or {}).items()
        if not name.startswith("__") and name not in _RESERVED
    }
    configurable |= {
        "thread_id": row.thread,
        "run_id": row.id,
        "assistant_id": row.assistant,
        "graph_id": row.workflow,
        "langgraph_auth_user_id": row.user,
        "__pregel_strict_resume": True,
    }
    config: RunnableConfig = {"configurable": configurable, "metadata": dict(asked.get("metadata") or {})}
    if asked.get("tags"):
        config["tags"] = list(asked["tags"])
    if asked.get("recursion_limit"):
        config["recursion_limit"] = int(asked["recursion_limit"])
    return config


async def given_of(
    graph: Graph,
    row: WorkflowRunRow,
    terms: RunTerms,
    saver: RunSaver,
    config: RunnableConfig,
    answers: Mapping[str, object],
) -> Any:  # noqa: ANN401 - the input of whatever graph
    """What to hand to the graph. May set the checkpoint to begin at in `config`."""
    if await saver.has_begun():
        return await _answered(graph, config, answers)
    if terms.checkpoint:
        config["configurable"]["checkpoint_id"] = terms.checkpoint
    if terms.command is not None:
        return await _commanded(graph, config, terms.command)
    return input_of(row.input)


async def _answered(
    graph: Graph, config: RunnableConfig, answers: Mapping[str, object]
) -> "Command[Any] | None":
    """The answers to what the graph waits for now. An older leg may have handed in some of them already."""
    resume = await _pending(graph, config, answers)
    return Command(resume=resume) if resume else None


async def _commanded(graph: Graph, config: RunnableConfig, command: CommandTerms) -> "Command[Any] | None":
    said: dict[str, Any] = {}
    if command.resume is not UNSET:
        said["resume"] = await _resumed(graph, config, command.resume)
    if command.update is not None:
        said["update"] = (
            [tuple(pair) for pair in command.update] if _is_pairs(command.update) else command.update
        )
    if command.goto is not None:
        said["goto"] = _goto(command.goto)
    said = {name: value for name, value in said.items() if value or name != "resume"}
    return Command(**said) if said else None


async def _resumed(graph: Graph, config: RunnableConfig, resume: object) -> dict[str, object]:
    """Answers by interrupt; a plain value answers the only one. What is not asked any more is left out."""
    state = await graph.aget_state(config, subgraphs=True)
    pending = {interrupted.id for interrupted in state.interrupts}
    if isinstance(resume, dict) and resume and not pending.isdisjoint(resume):
        return {id: value for id, value in resume.items() if id in pending}
    return {pending.pop(): resume} if len(pending) == 1 else {}


async def _pending(graph: Graph, config: RunnableConfig, answers: Mapping[str, object]) -> dict[str, object]:
    if not answers:
        return {}
    state = await graph.aget_state(config, subgraphs=True)
    pending = {interrupted.id for interrupted in state.interrupts}
    return {id: value for id, value in answers.items() if id in pending}


def _is_pairs(update: object) -> bool:
    return isinstance(update, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in update)


def _goto(goto: object) -> Any:  # noqa: ANN401 - names of nodes and Sends
    if isinstance(goto, list):
        return [_goto(one) for one in goto]
    if isinstance(goto, dict):
        try:
            return Send(goto["node"], goto["input"])
        except KeyError as error:
            raise BadRequest(f"an object in command.goto needs {error}", param="command.goto") from error
    return goto
