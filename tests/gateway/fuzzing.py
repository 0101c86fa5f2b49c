"""What fuzz tests draw from: random JSON, good bodies with something changed, and an upstream that bears all."""

import json

from hypothesis import strategies as st

from .test_bad_clients import GOOD, PATHS, WRONG
from .upstream import Says, Talk

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(
    {field for body in GOOD.values() for field in body}
    | {field for wrongs in WRONG.values() for wrong in wrongs for field in wrong}
    | {
        "tool_choice",
        "stop",
        "text",
        "reasoning",
        "include",
        "functions",
        "modalities",
        "thinking",
        "top_logprobs",
    }
)
PLACES = st.lists(st.integers(0, 6), max_size=4)


def changed(value, places, other):
    """`value` with `other` put in somewhere inside it."""
    if not places or not isinstance(value, dict | list) or not value:
        return other
    if isinstance(value, dict):
        name = sorted(value)[places[0] % len(value)]
        return value | {name: changed(value[name], places[1:], other)}
    at = places[0] % len(value)
    return [*value[:at], changed(value[at], places[1:], other), *value[at + 1 :]]


FULL = {
    "chat": GOOD["chat"]
    | {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "a"}]},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aa"}}],
            },
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    },
    "messages": GOOD["messages"]
    | {
        "system": [{"type": "text", "text": "a"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
    "responses": GOOD["responses"]
    | {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}},
    },
    "embeddings": GOOD["embeddings"],
}
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=5).map(lambda v: json.dumps(v).encode()),
)


@st.composite
def requests(draw):
    """(surface, body): random bytes, random JSON, or a good request with something changed."""
    surface = draw(st.sampled_from(sorted(PATHS)))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return surface, draw(BODIES)
    body = changed(FULL[surface], draw(PLACES), draw(JSON_VALUES))
    if isinstance(body, dict) and draw(st.booleans()):
        body = body | {"stream": True}
    data = json.dumps(body).encode()
    if kind == 1:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return surface, data


class Sturdy:
    """Answers well whatever it is asked."""

    async def __call__(self, talk: Talk):
        kind = talk.seen.path.rsplit("/", 1)[1]
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
        talk.seen.body = json.dumps(asked | {"stream": self._streams(talk), "kind": kind}).encode()
        await Says()(talk)

    def _streams(self, talk):
        return json.loads(talk.seen.body).get("stream") is True
