"""Task-oriented dialogues with service calls (`sgd`) as episodes: their text and calls, never the labelled state.

`bench.sgd` reads them. A service's methods are its tools; a method without a transaction only reads.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from trimtab.controllers import Tool, ToolCall, Turn
from trimtab.learning.episodes import Episode

# The day all its dialogues are held on: its schemas say so, its texts do not.
TODAY = "2019-03-01"


class Slot(msgspec.Struct):
    """An argument a service knows; `possible_values` close it where it is categorical."""

    name: str
    description: str = ""
    is_categorical: bool = False
    possible_values: list[str] = []


class Intent(msgspec.Struct):
    """One method of a service; transactional ones have side effects."""

    name: str
    is_transactional: bool
    required_slots: list[str]
    optional_slots: dict[str, str]
    description: str = ""


class Service(msgspec.Struct):
    """A service's schema."""

    service_name: str
    slots: list[Slot]
    intents: list[Intent]


class Call(msgspec.Struct):
    """A recorded service call."""

    method: str
    parameters: dict[str, str]


class Frame(msgspec.Struct):
    """What belongs to one service in a turn. The labelled state stands here too and is not read."""

    svc: str
    call: Call | None = None
    n_results: int = 0


class Said(msgspec.Struct):
    """One utterance of the user (`U`) or the system (`S`)."""

    s: str
    u: str
    f: list[Frame]


class Dialogue(msgspec.Struct):
    """One line of the set."""

    id: str
    services: list[str]
    turns: list[Said]


def read_schema(path: Path) -> dict[str, tuple[Tool, ...]]:
    """Each service's methods as tools: a method without a transaction only reads."""
    services = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=list[Service])
    return {one.service_name: tuple(_tool(one, intent) for intent in one.intents) for one in services}


def _tool(service: Service, intent: Intent) -> Tool:
    slots = {slot.name: slot for slot in service.slots}
    names = [*intent.required_slots, *intent.optional_slots]
    schema = {
        "type": "object",
        "properties": {name: _property(slots[name]) for name in names},
        "required": list(intent.required_slots),
    }
    name = f"{service.service_name}.{intent.name}"
    return Tool(name, schema, intent.description, not intent.is_transactional)  # type: ignore[arg-type]


def _property(slot: Slot) -> dict[str, object]:
    closed = {"enum": [*slot.possible_values, "dontcare"]} if slot.is_categorical else {}
    return {"type": "string", "description": slot.description, **closed}


def read_dialogues(path: Path, schema: Mapping[str, Sequence[Tool]]) -> Iterator[Episode]:
    """Every dialogue as an episode: a call and the number of its results before the utterance that tells of them."""
    decoder = msgspec.json.Decoder(Dialogue)
    with gzip.open(path) as lines:
        for line in lines:
            dialogue = decoder.decode(line)
            turns = (Turn("system", f"Today is {TODAY}."), *_turns(dialogue))
            tools = tuple(tool for service in dialogue.services for tool in schema[service])
            yield Episode(
                id=dialogue.id, workflow="sgd", agent="sgd", task=dialogue.id, reward=1.0, turns=turns,
                prices=(None,) * len(turns), tools=tools,
            )  # fmt: skip


def _turns(dialogue: Dialogue) -> Iterator[Turn]:
    for number, said in enumerate(dialogue.turns):
        calls = [(frame, frame.call) for frame in said.f if frame.call is not None]
        for frame, call in calls:
            made = ToolCall(f"{frame.svc}.{call.method}", dict(call.parameters), f"c{number}")
            yield Turn("assistant", "", (made,))
            yield Turn("tool", f'{{"results": {frame.n_results}}}', (), made.id)
        yield Turn("user" if said.s == "U" else "assistant", said.u)
