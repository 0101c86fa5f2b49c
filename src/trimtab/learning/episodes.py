"""Recorded runs as learning sees them: one conversation of an agent on a task, with its reward and its costs.

Read from files of recorded runs (one JSON object a line, see docs/traces.md); the tools come from the line itself
or from the `domains.jsonl[.gz]` beside the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trimtab.controllers import Json, Tool, ToolCall, Turn
from trimtab.core.errors import DataError
from trimtab.traces import ChatLine, LineMessage, LineReader, read_line

_DOMAIN_FILES = ("domains.jsonl.gz", "domains.jsonl")
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Episode:
    """One recorded conversation. `prices[i]` is what reply i cost in nanodollars (None: not known, or no reply).

    `first_call` is the index of the first reply a model was asked for: an opening greeting is context.
    """

    id: str
    workflow: str
    agent: str
    task: str
    reward: float | None
    turns: tuple[Turn, ...]
    prices: tuple[int | None, ...]
    tools: tuple[Tool, ...]

    @property
    def calls(self) -> Iterator[int]:
        """The indices of the replies that a model was asked for."""
        opened = False
        for number, turn in enumerate(self.turns):
            opened = opened or turn.speaker == "user"
            if opened and turn.speaker == "assistant":
                yield number

    @property
    def read_only(self) -> frozenset[str]:
        """The tools somebody declared to have no side effects."""
        return frozenset(tool.name for tool in self.tools if tool.read_only)


class _DomainTool(msgspec.Struct):
    name: str
    parameters: dict[str, object]
    description: str = ""
    read_only: bool = False


class _Function(msgspec.Struct):
    name: str
    parameters: dict[str, object] | None = None
    description: str | None = None


class _Declared(msgspec.Struct):
    """A tool of a request; one of a provider's own has no function."""

    function: _Function | None = None


class _Domain(msgspec.Struct):
    domain: str
    tools: list[_DomainTool] = []


def read_episodes(
    path: Path,
    workflow: str = "",
    read_only: frozenset[str] = frozenset(),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Episode]:
    """The episodes of a file, of one workflow where it is named.

    `read_only` names tools beyond those the file declares. `progress` is told bytes read and bytes in all.
    Raises DataError naming file, line, field and remedy.
    """
    tools = _domain_tools(path)
    reader = LineReader(path)
    found = []
    for number, line in reader:
        if line.strip():
            read = read_line(line, str(path), number)
            if not workflow or read.domain == workflow:
                declared = _line_tools(read, str(path), number) or tools.get(read.domain, ())
                found.append(_episode(read, number, declared, read_only))
        progress(reader.read_bytes, reader.total_bytes)
    if not found:
        known = f"no runs of workflow {workflow!r}" if workflow else "no runs"
        raise DataError(
            known, file=str(path), field="domain", remedy="check the workflow's name and the file"
        )
    return found


def _domain_tools(path: Path) -> dict[str, tuple[Tool, ...]]:
    decoder = msgspec.json.Decoder(_Domain)
    for name in _DOMAIN_FILES:
        beside = path.parent / name
        if not beside.exists():
            continue
        try:
            domains = [decoder.decode(line) for _, line in LineReader(beside) if line.strip()]
        except msgspec.DecodeError as error:
            remedy = "each line needs `domain` and `tools`"
            raise DataError(str(error), file=str(beside), field="tools", remedy=remedy) from error
        return {domain.domain: tuple(_tool(tool) for tool in domain.tools) for domain in domains}
    return {}


def _tool(declared: _DomainTool) -> Tool:
    parameters = msgspec.convert(declared.parameters, dict[str, object])
    return Tool(declared.name, parameters, declared.description, declared.read_only)  # type: ignore[arg-type]


def _episode(line: ChatLine, number: int, declared: tuple[Tool, ...], read_only: frozenset[str]) -> Episode:
    heard = [message for message in line.messages if _is_heard(message)]
    return Episode(
        id=line.run or f"{line.agent}.{line.domain}.{line.task}.{line.trial}.{number}",
        workflow=line.domain,
        agent=line.agent,
        task=line.task,
        reward=line.reward,
        turns=tuple(_turn(message) for message in heard),
        prices=tuple(_price(message) for message in heard),
        tools=tuple(
            msgspec.structs.replace(tool, read_only=tool.read_only or tool.name in read_only)
            for tool in declared or _tools_called(heard)
        ),
    )


def _is_heard(message: LineMessage) -> bool:
    """What the agent's model sees: neither the simulated user's own tools nor their results."""
    if message.role == "tool":
        return message.audience == "assistant"
    return not (message.role == "user" and message.tool_calls)


def _turn(message: LineMessage) -> Turn:
    calls = tuple(ToolCall(call.name, _arguments(call.arguments), call.id) for call in message.tool_calls)
    return Turn(message.role, _text(message.content), calls, message.tool_call_id or "")


def _arguments(raw: msgspec.Raw) -> dict[str, Json]:
    decoded = msgspec.json.decode(raw)
    return decoded if isinstance(decoded, dict) else {"_raw": decoded}


def _text(content: str | list[msgspec.Raw] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts = [msgspec.json.decode(part) for part in content]
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _price(message: LineMessage) -> int | None:
    known = message.role == "assistant" and message.cost_usd is not None
    return int(message.cost_usd * _NANO) if known and message.cost_usd is not None else None


def _line_tools(line: ChatLine, file: str, number: int) -> tuple[Tool, ...]:
    """The tools a request declared, in the Chat Completions shape."""
    if not isinstance(line.tools, msgspec.Raw):
        return ()
    try:
        declared = msgspec.json.decode(line.tools, type=list[_Declared] | None) or []
    except msgspec.DecodeError as error:
        remedy = "`tools` is a list as in a Chat Completions request"
        raise DataError(str(error), file=file, line=number, field="tools", remedy=remedy) from error
    functions = (tool.function for tool in declared if tool.function)
    return tuple(Tool(one.name, one.parameters or {}, one.description or "") for one in functions)  # type: ignore[arg-type]


def _tools_called(turns: list[LineMessage]) -> tuple[Tool, ...]:
    """Nobody declared tools: those that were called, none of them read-only."""
    names = sorted({call.name for message in turns for call in message.tool_calls})
    return tuple(Tool(name, {}) for name in names)
