"""Random and mutated requests, replies and streams: nothing gets past an error in its proper shape."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.core import Usage

from .fuzzing import JSON_VALUES, PLACES, Sturdy, changed, requests
from .served import cost, endpoint
from .test_bad_clients import GOOD, PATHS, check_shape
from .upstream import EVENTS, JSON, Talk

BOUNDED = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
async def both_styles(serve, upstreams):
    """A house with an endpoint of each style."""
    first, second = await upstreams(), await upstreams()
    first.always = second.always = Sturdy()
    claude = endpoint(second, "anthropic", '"claude"', 'style = "anthropic"')
    tool = '[[tool]]\nname = "f"\nprice_usd = 0.001\n'
    rule = '[[rule]]\nwhen = "size(user) < 3"\nrecall_seconds = 60\nrecall_sampled = true\n'
    budget = '[[budget]]\nscope = "tenant"\nlimit_usd = 1000000.0\n'
    return await serve(endpoint(first, "openai") + claude + tool + rule + budget)


@settings(BOUNDED, max_examples=1000)
@given(request=requests(), model=st.sampled_from(["gpt-small", "claude"]))
async def test_requests(both_styles, request, model):
    surface, body = request
    answer = await both_styles.post(body.replace(b"gpt-small", model.encode()), PATHS[surface])
    if answer.status != 200:
        status, code = check_shape(answer, surface)
        assert status in (400, 404), answer
        assert code
    elif answer.headers["content-type"] == "application/json":
        assert answer.json
    else:
        assert answer.events
    await both_styles.at_rest()


CHUNKS = [
    b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"Hi"},"finish_reason":null}]}',
    b'{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","type":"function","function":'
    b'{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}',
    b'{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    b'{"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}',
    b"[DONE]",
]
EVENTS_OF_MESSAGES = [
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
REPLIES = {
    "gpt-small": {
        "id": "c",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "tool_calls": [
                        {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                "finish_reason": "stop",
                "logprobs": {"content": [{"token": "Hi", "logprob": -0.1}]},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    },
    "claude": {
        "id": "m",
        "type": "message",
        "content": [
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 2},
    },
}


def _event(value):
    return b"event: %s\ndata: %s\n\n" % (value["type"].encode(), json.dumps(value).encode())


STREAMS = {
    "gpt-small": b"".join(b"data: " + chunk + b"\n\n" for chunk in CHUNKS),
    "claude": b"".join(_event(value) for value in EVENTS_OF_MESSAGES),
}


@st.composite
def mutated(draw, good):
    """Bytes with a few places cut out, doubled, or overwritten; or cut off."""
    data = good
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        data = (
            data[:at]
            + draw(st.binary(max_size=4) | st.just(data[at : at + length] * 2))
            + data[at + length :]
        )
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


@st.composite
def rewritten_streams(draw, model):
    """Good events with something changed inside one, or in another order."""
    values = list(EVENTS_OF_MESSAGES) if model == "claude" else [json.loads(chunk) for chunk in CHUNKS[:-1]]
    at = draw(st.integers(0, len(values) - 1))
    values[at] = changed(values[at], draw(PLACES), draw(JSON_VALUES))
    values = draw(st.permutations(values)) if draw(st.booleans()) else values
    parts = [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]
    return b"".join(parts) + (b"data: [DONE]\n\n" if draw(st.booleans()) else b"")


@st.composite
def answers(draw):
    """(model, content type, body) of an endpoint's answer."""
    model = draw(st.sampled_from(["gpt-small", "claude"]))
    whole = json.dumps(REPLIES[model]).encode()
    rewritten = st.builds(
        lambda p, v: json.dumps(changed(REPLIES[model], p, v)).encode(), PLACES, JSON_VALUES
    )
    plain = draw(st.booleans())
    if plain:
        body = draw(st.one_of(st.binary(max_size=50), mutated(whole), rewritten))
    else:
        body = draw(st.one_of(st.binary(max_size=50), mutated(STREAMS[model]), rewritten_streams(model)))
    return (
        model,
        draw(st.sampled_from([JSON, EVENTS])) if draw(st.booleans()) else (JSON if plain else EVENTS),
        body,
    )


JUDGED = """
[[model]]
name = "judged"
candidates = ["gpt-small", "claude"]
policy = "careful"
[[model]]
name = "claude"
quality = 0.9
[policy.careful]
kind = "cascade"
verifiers = [{ kind = "finish_reason" }, { kind = "tool_calls" }, { kind = "json_schema" }]
"""


class Parrot:
    """Sends what it was given, in pieces, and ends well or not."""

    def __init__(self):
        self.body, self.headers, self.piece, self.ends = b"", JSON, 1, True

    async def __call__(self, talk: Talk):
        talk.bill(2)
        await talk.open_stream(self.headers)
        for at in range(0, len(self.body), self.piece):
            await talk.chunk(self.body[at : at + self.piece])
        if self.ends:
            await talk.end()
        else:
            talk.cut()


@pytest.fixture
async def parrots(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    parrot = first.always = second.always = Parrot()
    never = "breaker = { failures = 1000000 }\n"
    claude = endpoint(second, "anthropic", '"claude"', 'style = "anthropic"\n' + never)
    return await serve(endpoint(first, "openai", more=never) + claude + JUDGED), parrot


@settings(BOUNDED, max_examples=1000)
@given(
    answer=answers(),
    surface=st.sampled_from(["chat", "messages", "responses"]),
    stream=st.booleans(),
    piece=st.sampled_from([1 << 20, 37, 3]),
    ends=st.booleans(),
    judged=st.booleans(),
)
async def test_what_endpoints_answer(parrots, answer, surface, stream, piece, ends, judged):
    served, parrot = parrots
    model, parrot.headers, parrot.body = answer
    model = "judged" if judged else model
    parrot.piece, parrot.ends = piece, ends
    got = await served.post(GOOD[surface] | {"model": model, "stream": stream}, PATHS[surface])
    if got.status != 200:
        status, _ = check_shape(got, surface)
        assert status in (502, 504), got
    assert b"internal_error" not in got.body
    if got.status == 200 and stream:
        assert got.headers["content-type"].startswith("text/event-stream")
    await served.at_rest()


async def test_everything_that_was_fuzzed_is_in_the_ledger(parrots):
    served, parrot = parrots
    parrot.headers, parrot.body = EVENTS, STREAMS["gpt-small"]
    for cut in range(0, len(parrot.body), 17):
        parrot.body, parrot.ends = STREAMS["gpt-small"][:cut], bool(cut % 2)
        await served.post(GOOD["chat"] | {"stream": True}, PATHS["chat"])
    lines = await served.entries()
    assert len(lines) == len(range(0, len(STREAMS["gpt-small"]), 17))
    known = [line for line in lines if line.certainty == "exact"]
    assert all((line.input_tokens, line.output_tokens) == (5, 2) for line in known)
    unknown = [line for line in lines if line.certainty != "exact"]
    least = cost(Usage(input_tokens=5, output_tokens=2))
    assert all(line.output_tokens >= 2 and line.nanodollars >= least for line in unknown)
