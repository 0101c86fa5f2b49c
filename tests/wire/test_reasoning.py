"""Signs of reasoning in requests and replies."""

import json

import pytest

from trimtab.wire import asks_to_reason, shows_reasoning


@pytest.mark.parametrize(
    "body",
    [
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"max_tokens": 2000}},
        {"thinking": {"type": "enabled", "budget_tokens": 5}},
        {"thinking": {"type": "adaptive"}},
        {"output_config": {"effort": "high"}},
        {"enable_thinking": True},
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": 5}}}},
        {"reasoning": "a lot"},
    ],
)
def test_requests_that_ask_for_it(body):
    assert asks_to_reason(json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reasoning_effort": None},
        {"reasoning_effort": "none"},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"enabled": False}},
        {"thinking": {"type": "disabled"}},
        {"enable_thinking": False},
        {"messages": [{"role": "user", "content": '"thinking": {"type": "enabled"}'}]},
        {"tools": [{"function": {"parameters": {"properties": {"reasoning": {"type": "string"}}}}}]},
    ],
)
def test_requests_that_do_not(body):
    assert not asks_to_reason(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ({"delta": {"reasoning_content": "Hm"}}, True),
        ({"delta": {"reasoning": "Hm"}}, True),
        ({"reasoning_details": [{"type": "reasoning.encrypted"}]}, True),
        ({"content_block": {"type": "redacted_thinking", "data": "x"}}, True),
        ({"type": "thinking_delta", "thinking": "Hm"}, True),
        ({"delta": {"reasoning_content": None, "reasoning": "", "thinking": []}}, False),
        ({"usage": {"reasoning_tokens": 0}}, False),
        ({"delta": {"content": '{"reasoning": "short"}'}}, False),
    ],
)
def test_replies_that_show_it(reply, shown):
    assert shows_reasoning(json.dumps(reply).encode()) is shown
    assert shows_reasoning(json.dumps(reply, separators=(",", ":")).encode()) is shown
