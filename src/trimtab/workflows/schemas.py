"""What a graph takes and gives, as JSON schemas; where a type has none, the schema is None."""

import logging
from collections.abc import Callable
from typing import Any, Literal, get_type_hints, is_typeddict

import msgspec
from langgraph.channels.base import BaseChannel
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from pydantic import create_model

Schema = dict[str, Any]
_log = logging.getLogger(__name__)


class GraphSchemas(msgspec.Struct, frozen=True):
    """JSON schemas of one graph. `config` is what may stand under `configurable`: the same as the context."""

    input: Schema | None
    output: Schema | None
    state: Schema | None
    config: Schema | None
    context: Schema | None


def schemas_of(graph: "Pregel[Any, Any, Any, Any]") -> GraphSchemas:
    """The schemas of a graph."""
    builder = graph.builder if isinstance(graph, CompiledStateGraph) else None
    context = _first(graph.get_context_jsonschema, lambda: _of_typed(graph.context_schema))
    return GraphSchemas(
        input=_first(graph.get_input_jsonschema, lambda: _of_typed(builder and builder.input_schema)),
        output=_first(graph.get_output_jsonschema, lambda: _of_typed(builder and builder.output_schema)),
        state=_first(lambda: _of_channels(graph)),
        config=context,
        context=context,
    )


def subgraphs_of(
    graph: "Pregel[Any, Any, Any, Any]", namespace: str | None, depth: Literal["direct", "all"]
) -> dict[str, GraphSchemas]:
    """The schemas of subgraphs, by namespace."""
    found = graph.get_subgraphs(namespace=namespace, recurse=depth == "all")
    return {name: schemas_of(inner) for name, inner in found if isinstance(inner, Pregel)}


def _first(*made: Callable[[], Schema | None]) -> Schema | None:
    """What the first of these gives that gives anything."""
    for make in made:
        try:
            schema = make()
        except Exception as error:  # types are the user's, and there is no end to what Pydantic says of them
            _log.debug("no schema: %s: %s", type(error).__name__, error)
            continue
        if schema is not None:
            return schema
    return None


def _of_typed(kind: Any) -> Schema | None:  # noqa: ANN401 - whatever class the user took
    """The schema of a `typing.TypedDict`, which Pydantic refuses before Python 3.12."""
    if not is_typeddict(kind):
        return None
    needed: frozenset[str] = kind.__required_keys__
    fields: dict[str, Any] = {
        name: (hint, ... if name in needed else None) for name, hint in get_type_hints(kind).items()
    }
    return _modelled(kind.__name__, fields)


def _of_channels(graph: "Pregel[Any, Any, Any, Any]") -> Schema:
    channels = {name: graph.channels[name] for name in graph.stream_channels_list}
    fields: dict[str, Any] = {
        name: (channel.ValueType, None)
        for name, channel in channels.items()
        if isinstance(channel, BaseChannel)
    }
    return _modelled(graph.get_name("State"), fields)


def _modelled(name: str, fields: dict[str, Any]) -> Schema:
    schema: Schema = create_model(name, **fields).model_json_schema()
    return schema
