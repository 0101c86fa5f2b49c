"""A graph's stream as the events that the LangGraph SDKs know, by stream mode.

Source: LangGraph's `astream` and `astream_events`, langgraph-sdk's stream modes.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig

from trimtab.workflows.graphs import Graph
from trimtab.workflows.order import StreamMode

INTERRUPT = "__interrupt__"
_PART = 3
Said = tuple[str, object]


class Values:
    """What a run's stream adds up to: its values, with the interrupts it ended in."""

    def __init__(self) -> None:
        self.latest: Any = None
        self.interrupts: list[Any] = []

    def see(self, namespace: Sequence[str], mode: str, chunk: Any) -> None:  # noqa: ANN401 - LangGraph's own
        """One part of the stream."""
        if namespace:
            return
        if mode == "values":
            self.latest = chunk
        elif mode == "updates" and isinstance(chunk, dict) and INTERRUPT in chunk:
            self.interrupts += [told for told in chunk[INTERRUPT] if told not in self.interrupts]

    @property
    def whole(self) -> Any:  # noqa: ANN401 - whatever the graph's output is
        """As `ainvoke` gives it."""
        latest = self.latest
        if not self.interrupts:
            return latest
        said = latest if isinstance(latest, dict) else {}
        return {**said, INTERRUPT: list(self.interrupts)}


class Telling:
    """Parts of a stream -> events of the modes asked for. Remembers messages, which come in chunks."""

    def __init__(self, modes: Sequence[StreamMode], *, subgraphs: bool) -> None:
        self._asked, self._subgraphs = frozenset(modes), subgraphs
        self._messages: dict[str | None, BaseMessage] = {}

    @property
    def modes(self) -> list[Any]:
        """What to ask the graph for: `updates` and `values` too, because interrupts and the result are seen there."""
        asked = {"messages" if mode.startswith("messages") else mode for mode in self._asked}
        return sorted((asked | {"updates", "values"}) - {"events"})

    def told(self, namespace: Sequence[str], mode: str, chunk: Any) -> Iterator[Said]:  # noqa: ANN401 - as above
        """The events that a part of the stream is."""
        tail = f"|{'|'.join(namespace)}" if namespace and self._subgraphs else ""
        if mode == "messages":
            yield from self._message(chunk, tail)
        elif namespace and not self._subgraphs:
            return
        elif mode in self._asked:
            yield mode + tail, chunk
        elif _is_interrupt(mode, chunk) and not {"values", "updates"} & self._asked:
            yield "values" + tail, chunk

    def _message(self, chunk: tuple[BaseMessage, Mapping[str, Any]], tail: str) -> Iterator[Said]:
        message, facts = chunk
        if "messages-tuple" in self._asked:
            yield "messages" + tail, [message, facts]
        if "messages" not in self._asked:
            return
        known = self._messages.get(message.id)
        if known is None:
            yield "messages/metadata" + tail, {message.id: {"metadata": facts}}
        is_part = isinstance(message, BaseMessageChunk)
        if is_part and isinstance(known, BaseMessageChunk):
            message = known + message
        self._messages[message.id] = message
        if isinstance(message, BaseMessageChunk):
            yield "messages/partial" + tail, [message_chunk_to_message(message)]
        else:
            yield "messages/complete" + tail, [message]


def _is_interrupt(mode: str, chunk: object) -> bool:
    return mode == "updates" and isinstance(chunk, dict) and INTERRUPT in chunk


async def stream(
    graph: Graph,
    given: Any,  # noqa: ANN401 - the input of whatever graph
    config: RunnableConfig,
    modes: Sequence[StreamMode],
    telling: Telling,
    values: Values,
    **how: Any,  # noqa: ANN401 - what `astream` takes beside
) -> AsyncGenerator[Said, None]:
    """Run a graph; its events, while `values` sees what it adds up to."""
    if "events" not in modes:
        async for namespace, mode, chunk in graph.astream(
            given, config, stream_mode=telling.modes, subgraphs=True, **how
        ):
            values.see(namespace, mode, chunk)
            for said in telling.told(namespace, mode, chunk):
                yield said
        return
    async for event in graph.astream_events(
        given, config, version="v2", stream_mode=telling.modes, subgraphs=True, **how
    ):
        yield "events", event
        part = event["data"].get("chunk")
        is_root = event["event"] == "on_chain_stream" and not event["parent_ids"]
        if is_root and isinstance(part, tuple) and len(part) == _PART:
            values.see(*part)
            for said in telling.told(*part):
                yield said
