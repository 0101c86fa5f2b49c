"""Hosted graphs: plain LangGraph, loaded from `package.module:graph`, checked, and never changed.

What is driven is a copy with a saver of its own; functions that are not async run on a bounded pool there.
"""

import asyncio
import copy
import functools
import hashlib
import importlib
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from trimtab.core.errors import ConfigError
from trimtab.workflows.lease import Guarded
from trimtab.workflows.place import RUN
from trimtab.workflows.question import listening

Graph: TypeAlias = Pregel[Any, Any, Any, Any]
_DIGEST_LENGTH = 12


class HostedGraph:
    """A graph under its workflow's name. `version` tells graphs apart that cannot go on with each other's runs; where
    it `asks`, model calls in its nodes may interrupt them."""

    def __init__(self, workflow: str, graph: Graph, named: str, *, asks: bool = False) -> None:
        self.workflow, self._graph, self._asks = workflow, graph, asks
        self._made: dict[Executor, dict[str, Any]] = {}
        self.version = version_of(graph, named)

    @property
    def graph(self) -> Graph:
        """The graph as its author made it; not to be changed or driven."""
        return self._graph

    def copy_for(
        self, saver: BaseCheckpointSaver[str], pool: Executor, store: BaseStore | None = None
    ) -> Graph:
        """The graph to drive for one run; a store of its own stays."""
        update: dict[str, Any] = {"nodes": self._nodes(pool), "checkpointer": saver}
        if self._graph.store is None and store is not None:
            update["store"] = store
        return self._graph.copy(update=update)

    def _nodes(self, pool: Executor) -> dict[str, Any]:
        """The nodes as they are driven. They know nothing of runs, so that all runs share them."""
        if pool not in self._made:
            nodes = {name: _pooled(_whole(node), pool) for name, node in self._graph.nodes.items()}
            self._made[pool] = {name: _wrapped(node, self._wrap) for name, node in nodes.items()}
        return dict(self._made[pool])

    def _wrap(self, does: Runnable[Any, Any]) -> Runnable[Any, Any]:
        return listening(Guarded(does)) if self._asks else Guarded(does)


def load_graph(workflow: str, target: str, named: str = "", *, asks: bool = False) -> HostedGraph:
    """The graph that `target` (`package.module:attribute`) names; `asks`: model calls in it may ask a person.

    Raises ConfigError.
    """
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{target!r} cannot be imported: {error}; is its folder on PYTHONPATH?") from error
    except Exception as error:  # the user's own code runs here
        raise ConfigError(f"importing {module_name!r} failed: {_told(error)}") from error
    try:
        found = getattr(module, attribute)
    except AttributeError as error:
        raise ConfigError(f"module {module_name!r} has no {attribute!r}") from error
    return HostedGraph(workflow, _compiled(_made(found, target), target), named, asks=asks)


def version_of(graph: Graph, named: str) -> str:
    """`named` and a digest of what a checkpoint depends on: nodes, what wakes them, and the channels between."""
    lines = [f"channel {name} {type(channel).__name__}" for name, channel in sorted(graph.channels.items())]
    for name, node in sorted(graph.nodes.items()):
        lines.append(f"node {name} on {sorted(node.triggers)} reads {node.channels!r}")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{named}-{digest}" if named else digest


def _made(found: object, target: str) -> object:
    """What a factory returns; anything else as it is."""
    if isinstance(found, Pregel | StateGraph) or not callable(found):
        return found
    needed = [
        name
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise ConfigError(f"{target!r} needs {', '.join(needed)}; a factory is called without arguments")
    try:
        made: object = found()
    except Exception as error:  # the user's own code runs here
        raise ConfigError(f"the factory {target!r} failed: {_told(error)}") from error
    if inspect.iscoroutine(made):
        made.close()
        raise ConfigError(f"the factory {target!r} is async; make it a plain function")
    return made


def _compiled(made: object, target: str) -> Graph:
    if isinstance(made, StateGraph):
        try:
            made = made.compile()
        except Exception as error:  # what is wrong with a graph is LangGraph's to say
            raise ConfigError(f"{target!r} did not compile: {_told(error)}") from error
    if not isinstance(made, Pregel):
        raise ConfigError(
            f"{target!r} is a {type(made).__name__}, expected a LangGraph graph or a function that makes one"
        )
    return made


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class _Whole(Runnable[Any, Any]):
    """A sequence as one thing."""

    def __init__(self, does: Runnable[Any, Any]) -> None:
        self._does = does

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._does.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        return await self._does.ainvoke(input, config, **kwargs)


def _whole(node: Any) -> Any:  # noqa: ANN401 - LangGraph's own node
    """The node; a sequence stays one: LangGraph would take it to pieces, and only the first would know its step."""
    if not isinstance(node.bound, RunnableSequence):
        return node
    moved = copy.copy(node)
    moved.bound = _Whole(node.bound)
    moved.__dict__.pop("node", None)
    return moved


def _wrapped(node: Any, wrap: Callable[[Runnable[Any, Any]], Runnable[Any, Any]]) -> Any:  # noqa: ANN401 - as below
    """The node, what it does wrapped; nodes of a subgraph likewise."""
    moved = copy.copy(node)
    moved.__dict__.pop("node", None)
    if isinstance(node.bound, Pregel):
        inner = {name: _wrapped(each, wrap) for name, each in node.bound.nodes.items()}
        moved.bound = node.bound.copy(update={"nodes": inner})
        moved.subgraphs = [moved.bound if each is node.bound else each for each in node.subgraphs]
    if moved.node is not None:
        moved.__dict__["node"] = wrap(moved.node)
    return moved


def _pooled(node: Any, pool: Executor) -> Any:  # noqa: ANN401 - LangGraph's own node
    """The node, its plain function run on `pool`: LangGraph would take the event loop's own threads."""
    bound = node.bound
    function, motion = getattr(bound, "func", None), getattr(bound, "afunc", None)
    if function is not None and isinstance(motion, functools.partial):
        does = _on_pool(function, pool)
    elif inspect.iscoroutinefunction(motion):
        does = _staying(motion)
    else:
        return node
    moved = copy.copy(node)
    moved.bound = copy.copy(bound)
    moved.bound.afunc = does
    moved.__dict__.pop("node", None)
    return moved


def _staying(motion: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A node that wants to leave the process fails its run, and no other."""

    @functools.wraps(motion)
    async def call(*args: object, **named: object) -> object:
        try:
            return await motion(*args, **named)
        except (SystemExit, KeyboardInterrupt) as left:
            raise RuntimeError(f"the node raised {type(left).__name__}({left})") from left

    return call


def _on_pool(function: Callable[..., Any], pool: Executor) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def call(*args: object, **named: object) -> object:
        work = pool.submit(functools.partial(copy_context().run, function, *args, **named))
        place = RUN.get()
        if place is not None:
            place.occupy(work)
        return await asyncio.wrap_future(work)

    return _staying(call)
