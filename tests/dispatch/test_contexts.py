"""A prompt that is too long for one model of a plan goes to the next one that may hold it."""

import json

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import sends
from trimtab.wire import is_too_long

SAID = {
    "openai": {
        "error": {
            "message": "This model's maximum context length is 8192 tokens. However, you requested 9000.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        }
    },
    "anthropic": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000"},
    },
    "vllm": {
        "object": "error",
        "message": "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
        "code": 400,
    },
    "llama.cpp": {"error": {"code": 400, "message": "exceeds", "type": "exceed_context_size_error"}},
}
OTHER = {"error": {"message": "tools[0]: unknown", "type": "invalid_request_error", "code": "invalid"}}


def _refuses(said, status=400):
    return sends(json.dumps(said).encode(), {"content-type": "application/json"}, status, None)


def _models(small=0, large=0):
    model = '[[model]]\nname = "{}"\ncontext_tokens = {}\n'
    both = '[[model]]\nname = "any"\ncandidates = ["small", "large"]\n'
    return both + model.format("small", small) + model.format("large", large)


@pytest.fixture
async def build(serve, upstreams):
    async def make(**contexts):
        small, large = await upstreams(), await upstreams()
        dear = "price = { input = 10.0, output = 100.0 }"
        text = endpoint(small, "a", '"small"') + endpoint(large, "b", '"large"', dear) + _models(**contexts)
        return await serve(text), small, large

    return make


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", SAID)
async def test_a_prompt_too_long_for_one_model_goes_to_the_next(build, said, stream):
    served, small, large = await build()
    small.always = _refuses(SAID[said])
    answer = await served.post(ask("any", stream=stream))
    assert (answer.status, answer.headers["x-trimtab-model"]) == (200, "large")
    assert len(small.seen) == 1
    assert (await served.entry()).model == "large"


async def test_other_refusals_still_end_the_plan(build):
    served, small, large = await build()
    small.always = _refuses(OTHER)
    answer = await served.post(ask("any"))
    assert (answer.status, answer.error["code"]) == (400, "upstream_refused")
    assert large.seen == []


@pytest.mark.parametrize(("contexts", "asked"), [((9000, 8000), 0), ((8000, 9000), 1), ((8000, 0), 1)])
async def test_a_model_known_to_be_no_longer_is_passed_over(build, contexts, asked):
    served, small, large = await build(small=contexts[0], large=contexts[1])
    small.always = _refuses(SAID["openai"])
    answer = await served.post(ask("any"))
    assert len(large.seen) == asked
    assert answer.status == (200 if asked else 400)


async def test_the_same_model_elsewhere_would_say_the_same(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    served = await serve(endpoint(first, "first") + endpoint(second, "second"))
    first.always = second.always = _refuses(SAID["openai"])
    answer = await served.post(ask())
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
    assert len(first.seen) + len(second.seen) == 1


def test_words_that_are_no_such_refusal():
    assert not is_too_long(b'{"error": {"message": "messages: too short"}}')
    assert not is_too_long(b"\xff\xfe")
    assert not is_too_long(b"")
