"""Stage 4: what a controller answers costs nothing, looks like a model's reply, and never breaks a call."""

import asyncio
import json

import pytest

from controllers.tiny import pack, tiny_loaders
from gateway.served import endpoint
from trimtab.controllers import tool_digests
from trimtab.controllers.conversation import Tool
from trimtab.store import StateRow, controllers

LOOK_UP = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "It.", "parameters": LOOK_UP}}
    for name in ("get_order", "get_user", "cancel_order")
]
SETTINGS = """
[workflow.support]
latency_milliseconds = 2000
[workflow.support.tools]
read_only = ["get_order", "get_user"]
"""
HEADERS = {"x-trimtab-workflow": "support", "x-trimtab-run": "r-1", "x-trimtab-step": "plan"}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
RULES = [
    {"when": "both", "calls": [["get_order", {"id": "W1"}], ["get_user", {"id": "U1"}]]},
    {"when": "order", "calls": [["get_order", {"id": "W1"}]], "confidence": 0.995},
    {"when": "cancel", "calls": [["cancel_order", {"id": "W1"}]]},
    {"when": "unfit", "calls": [["get_order", {"number": 5}]]},
    {"when": "unknown", "calls": [["drop_table", {"id": "W1"}]]},
    {"when": "break", "breaks": True},
    {"when": "slow", "seconds": 0.5, "calls": [["get_order", {"id": "W1"}]]},
]


def ask(text="my order?", tools=TOOLS, **more):
    body = {"model": "gpt-small", "messages": [{"role": "user", "content": text}], "tools": tools}
    return {name: value for name, value in (body | more).items() if value is not None}


@pytest.fixture
def staffed(serve, upstream, monkeypatch, tmp_path):
    """Serves a house with a tiny controller at work: `served = await staffed(rules)`."""
    monkeypatch.setattr("trimtab.controllers.roster.LOADERS", tiny_loaders())

    async def start(rules=RULES, kind="step", state="enabled", settings=SETTINGS, more="", **manifest):
        served = await serve(endpoint(upstream, more=more) + settings.replace("UPSTREAM", upstream.url))
        roster = served.house.roster
        pack(roster._registry, tmp_path / "made", rules, kind, **manifest)
        row = StateRow("support", kind, "1", state, 0.0, "test")
        await served.house.database.run(lambda c: controllers.set_to_work(c, row))
        await roster.load()
        assert not roster.problems
        return served

    return start


async def test_a_tool_call_is_answered_without_the_model(staffed, upstream):
    served = await staffed()
    answer = await served.post(ask(), headers=HEADERS)
    assert answer.status == 200
    assert upstream.seen == []
    choice = answer.json["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["type"]) == ("tool_calls", "function")
    assert call["function"] == {"name": "get_order", "arguments": '{"id":"W1"}'}
    assert answer.json["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert answer.headers["x-trimtab-answered-by"] == "support/step@1"
    assert answer.headers["x-trimtab-confidence"] == "0.9950"
    assert answer.headers["x-trimtab-cost-nanodollars"] == "0"


async def test_the_ledger_says_what_was_saved_and_the_trace_what_was_decided(staffed):
    served = await staffed()
    await served.post(ask(), headers=HEADERS)
    entry, call = await served.entry(), await served.call()
    assert (entry.nanodollars, entry.reason, entry.model) == (0, "decided", "support/step")
    assert (entry.input_tokens, entry.output_tokens) == (0, 0)
    assert entry.saved_nanodollars > 0
    assert (call.answered_by, call.status, call.model) == ("controller", "ok", "support/step")
    (decision,) = json.loads(call.controllers)
    assert (decision["controller"], decision["version"], decision["option"]) == (
        "support/step",
        "1",
        "get_order",
    )
    assert decision["followed"]
    assert len(decision["inputs"]) == len(decision["said"]) == 32


async def test_ids_are_fresh(staffed):
    served = await staffed()
    answers = [await served.post(ask(), headers=HEADERS) for _ in range(2)]
    ids = {answer.json["choices"][0]["message"]["tool_calls"][0]["id"] for answer in answers}
    assert len(ids) == 2
    assert all(len(id) <= 40 for id in ids)


async def test_a_chat_stream_tells_the_same(staffed, upstream):
    served = await staffed()
    answer = await served.post(ask(stream=True, stream_options={"include_usage": True}), headers=HEADERS)
    deltas = [c for e in answer.events if isinstance(e, dict) for c in e["choices"]]
    calls = [call for delta in deltas for call in delta["delta"].get("tool_calls") or ()]
    assert calls[0]["function"]["name"] == "get_order"
    assert "".join(call["function"].get("arguments", "") for call in calls) == '{"id":"W1"}'
    assert deltas[-1]["finish_reason"] == "tool_calls"
    assert answer.events[-1] == "[DONE]"
    assert upstream.seen == []


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_are_answered_with_tool_use(staffed, upstream, stream):
    served = await staffed()
    tools = [{"name": "get_order", "input_schema": LOOK_UP}]
    body = {"model": "gpt-small", "max_tokens": 50, "stream": stream, "tools": tools}
    body["messages"] = [{"role": "user", "content": "my order?"}]
    answer = await served.post(body, "/v1/messages", HEADERS)
    assert upstream.seen == []
    if stream:
        blocks = [e["content_block"] for e in answer.events if e["type"] == "content_block_start"]
        (stop,) = [e["delta"]["stop_reason"] for e in answer.events if e["type"] == "message_delta"]
    else:
        blocks, stop = answer.json["content"], answer.json["stop_reason"]
        assert answer.json["usage"]["output_tokens"] == 0
        assert blocks[0]["input"] == {"id": "W1"}
    assert [(block["type"], block["name"]) for block in blocks] == [("tool_use", "get_order")]
    assert stop == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
async def test_responses_are_answered_with_function_calls(staffed, upstream, stream):
    served = await staffed()
    tools = [{"type": "function", "name": "get_order", "parameters": LOOK_UP}]
    body = {"model": "gpt-small", "input": "my order?", "stream": stream, "tools": tools}
    answer = await served.post(body, "/v1/responses", HEADERS)
    assert upstream.seen == []
    response = answer.events[-1]["response"] if stream else answer.json
    (item,) = response["output"]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "get_order", '{"id":"W1"}')
    assert response["status"] == "completed"


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"logprobs": True},
        {"tool_choice": "none"},
        {"tool_choice": {"type": "function", "function": {"name": "get_user"}}},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        {"tools": None},
        {"tools": [], "functions": [{"name": "get_order", "parameters": LOOK_UP}]},
    ],
)
async def test_what_only_a_model_can_give_goes_to_the_model(staffed, upstream, more):
    served = await staffed()
    answer = await served.post(ask(**more), headers=HEADERS)
    assert answer.status == 200
    assert len(upstream.seen) == 1
    assert "x-trimtab-answered-by" not in answer.headers


async def test_a_model_that_thinks_is_asked_itself(staffed, upstream):
    served = await staffed()
    tools = [{"name": "get_order", "input_schema": LOOK_UP}]
    body = {"model": "gpt-small", "max_tokens": 2000, "tools": tools}
    body["messages"] = [{"role": "user", "content": "my order?"}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    await served.post(body | {"thinking": thinking}, "/v1/messages", HEADERS)
    entry = await served.entry()
    assert entry.reason != "decided"


async def test_the_tool_that_is_asked_for_may_be_called(staffed, upstream):
    served = await staffed()
    for choice in ("required", {"type": "function", "function": {"name": "get_order"}}):
        await served.post(ask(tool_choice=choice), headers=HEADERS)
    assert upstream.seen == []


@pytest.mark.parametrize(("parallel", "expected"), [(None, 2), (True, 2), (False, 1)])
async def test_several_calls_in_one_turn_only_where_they_are_allowed(staffed, parallel, expected):
    served = await staffed()
    answer = await served.post(ask("both", parallel_tool_calls=parallel), headers=HEADERS)
    assert len(answer.json["choices"][0]["message"]["tool_calls"]) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cancel it", "may write"),
        ("unfit", "do not fit its schema"),
        ("unknown", "is not declared"),
        ("break", "it failed: ValueError"),
        ("else", "no rule fits"),
    ],
)
async def test_what_may_not_be_done_is_left_to_the_model(staffed, upstream, text, reason):
    served = await staffed()
    answer = await served.post(ask(text), headers=HEADERS)
    assert answer.status == 200
    assert len(upstream.seen) == 1
    (decision,) = json.loads((await served.call()).controllers)
    assert not decision["followed"]
    assert reason in decision["reasons"][-1]


async def test_a_late_controller_is_not_waited_for(staffed, upstream):
    settings = SETTINGS.replace("latency_milliseconds = 2000", "latency_milliseconds = 20")
    served = await staffed(settings=settings)
    answer = await served.post(ask("slow"), headers=HEADERS)
    assert answer.status == 200
    assert len(upstream.seen) == 1
    metrics = (await served.get("/metrics")).body.decode()
    assert 'trimtab_controller_troubles_total{controller="support/step"' in metrics
    await asyncio.sleep(0.6)


async def test_writes_only_where_settings_allow_them(staffed, upstream):
    served = await staffed(settings=SETTINGS + 'write_allowed = ["cancel_order"]\n')
    await served.post(ask("cancel it"), headers=HEADERS)
    assert upstream.seen == []


async def test_a_tool_that_changed_since_training_is_not_called(staffed, upstream):
    served = await staffed(
        tools=tool_digests([Tool("get_order", {"type": "object"}), Tool("get_user", LOOK_UP)])
    )
    await served.post(ask(), headers=HEADERS)
    assert len(upstream.seen) == 1
    (decision,) = json.loads((await served.call()).controllers)
    assert "is not the one it was trained with" in decision["reasons"][-1]


async def test_the_same_call_is_never_made_twice_in_a_run(staffed, upstream):
    served = await staffed()
    first = await served.post(ask(), headers=HEADERS)
    said = first.json["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "{}"}
    messages = [{"role": "user", "content": "my order?"}, said, result]
    await served.post(ask(messages=messages), headers=HEADERS)
    assert len(upstream.seen) == 1


async def test_after_so_many_turns_in_a_row_the_model_is_asked(staffed, upstream):
    served = await staffed(
        settings=SETTINGS.replace("[workflow.support]", "[workflow.support]\nmost_in_a_row = 2")
    )
    messages = [{"role": "user", "content": "my order?"}]
    for number in range(2):
        call = {"id": f"call_tt{number}", "type": "function"}
        call["function"] = {"name": "get_user", "arguments": f'{{"id":"{number}"}}'}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "{}"},
        ]
    await served.post(ask(messages=messages), headers=HEADERS)
    (decision,) = json.loads((await served.call()).controllers)
    assert "turns in a row" in decision["reasons"][-1]
    await served.post(ask(messages=messages[:3]), headers=HEADERS)
    assert len(upstream.seen) == 1


async def test_other_workflows_are_not_its_business(staffed, upstream):
    served = await staffed()
    await served.post(ask(), headers=HEADERS | {"x-trimtab-workflow": "sales"})
    await served.post(ask())
    assert len(upstream.seen) == 2


async def test_settings_may_keep_a_kind_out(staffed, upstream):
    served = await staffed(
        settings=SETTINGS.replace("[workflow.support]", "[workflow.support]\ncontrollers = []")
    )
    await served.post(ask(), headers=HEADERS)
    assert len(upstream.seen) == 1


async def test_settings_may_raise_the_threshold(staffed, upstream):
    raised = SETTINGS.replace("[workflow.support]", "[workflow.support]\nthresholds = { step = 0.999 }")
    served = await staffed(settings=raised)
    await served.post(ask(), headers=HEADERS)
    assert len(upstream.seen) == 1


async def test_classification_calls_get_their_label(staffed, upstream):
    rules = [{"when": "money", "label": "refund", "confidence": 0.98}]
    settings = '[workflow.support]\n[workflow.support.classify]\nsteps = ["plan"]\nreply = \'{"intent": "{label}"}\'\n'
    served = await staffed(rules, "classify", settings=settings, labels=("refund", "other"))
    answer = await served.post(ask("my money", tools=None), headers=HEADERS)
    assert answer.json["choices"][0]["message"]["content"] == '{"intent": "refund"}'
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert upstream.seen == []
    await served.post(ask("my money", tools=None), headers=HEADERS | {"x-trimtab-step": "other"})
    await served.post(ask("what?", tools=None), headers=HEADERS)
    assert len(upstream.seen) == 2


async def test_a_label_out_of_the_set_is_not_said(staffed, upstream):
    served = await staffed([{"when": "", "label": "odd"}], "classify", labels=("refund", "other"))
    await served.post(ask("my money", tools=None), headers=HEADERS)
    assert len(upstream.seen) == 1


async def test_a_gate_refuses_and_escalates(staffed, upstream):
    rules = [{"when": "evil", "label": "refuse"}, {"when": "hard", "label": "escalate"}]
    served = await staffed(rules, "gate", settings='[workflow.support]\nescalate_to = "gpt-small"\n')
    refused = await served.post(ask("evil"), headers=HEADERS)
    assert (refused.status, refused.error["code"]) == (403, "gate_refused")
    assert upstream.seen == []
    call = await served.call()
    assert (call.status, json.loads(call.controllers)[0]["option"]) == ("refused", "refuse")
    for text in ("hard", "fine"):
        assert (await served.post(ask(text), headers=HEADERS)).status == 200


async def test_a_route_is_a_fact_for_rules_and_stands_in_the_decision(staffed, upstream, serve):
    rules = [{"when": "easy", "label": "easy"}]
    settings = """
[[endpoint]]
name = "other"
url = "UPSTREAM"
models = ["tiny"]
[[rule]]
when = 'controller.route == "easy"'
models = ["tiny"]
"""
    served = await staffed(rules, "route", settings=settings)
    for text in ("easy one", "another"):
        await served.post(ask(text, tools=None), headers=HEADERS)
    easy, other = await served.calls()
    assert (easy.model, other.model) == ("tiny", "gpt-small")
    assert json.loads(easy.decision)["call"]["route"] == "easy"


async def test_a_route_may_choose_the_models(staffed, upstream):
    settings = '[[endpoint]]\nname = "other"\nurl = "UPSTREAM"\nmodels = ["tiny"]\n'
    settings += '[workflow.support]\nroutes = { easy = ["tiny"] }\n'
    served = await staffed([{"when": "easy", "label": "easy"}], "route", settings=settings)
    await served.post(ask("easy one", tools=None), headers=HEADERS)
    assert (await served.call()).model == "tiny"


@pytest.mark.parametrize(("label", "asked"), [("accept", 1), ("reject", 2)])
async def test_a_cascade_asks_a_verify_controller(staffed, upstream, label, asked):
    settings = """
[[endpoint]]
name = "other"
url = "UPSTREAM"
models = ["big"]
price = { input = 100.0, output = 100.0 }
[[model]]
name = "smart"
candidates = ["gpt-small", "big"]
policy = "careful"
[[model]]
name = "big"
quality = 0.9
[policy.careful]
kind = "cascade"
verifiers = [{ kind = "controller", value = "support/verify" }]
"""
    served = await staffed([{"when": "", "label": label}], "verify", settings=settings)
    answer = await served.post(ask(model="smart", tools=None), headers=HEADERS)
    assert answer.status == 200
    assert len(upstream.seen) == asked


async def test_an_answer_without_a_model_needs_no_money(staffed, upstream):
    budget = '[[budget]]\nscope = "run"\nlimit_usd = 0.0\nwindow = "run"\n'
    served = await staffed(settings=budget + SETTINGS)
    assert (await served.post(ask("else"), headers=HEADERS)).status == 402
    assert (await served.post(ask(), headers=HEADERS)).status == 200
    assert upstream.seen == []


async def test_a_budget_used_up_stops_the_model_and_not_the_controller(staffed, upstream):
    budget = '[[budget]]\nscope = "tenant"\nlimit_usd = 0.002\nwindow = "day"\n'
    served = await staffed(settings=budget + SETTINGS)
    statuses = []
    while 402 not in statuses:
        assert len(statuses) < 100
        statuses.append((await served.post(ask("else", max_tokens=20), headers=HEADERS)).status)
    spoken = len(upstream.seen)
    answer = await served.post(ask(), headers=HEADERS)
    assert (answer.status, answer.headers["x-trimtab-cost-nanodollars"]) == (200, "0")
    assert len(upstream.seen) == spoken > 0


async def test_a_rate_limit_holds_for_what_a_controller_answers_too(staffed, upstream):
    served = await staffed(settings='[[rate]]\nscope = "tenant"\nrequests_per_minute = 2\n' + SETTINGS)
    answers = [await served.post(ask(), headers=HEADERS) for _ in range(4)]
    assert [answer.status for answer in answers][:2] == [200, 200]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert upstream.seen == []


async def test_tools_with_a_price_are_charged_all_the_same(staffed, upstream):
    served = await staffed(settings='[[tool]]\nname = "get_user"\nprice_usd = 0.01\n' + SETTINGS)
    call = {"id": "c1", "type": "function", "function": {"name": "get_user", "arguments": '{"id": "U1"}'}}
    messages = [
        {"role": "user", "content": "my order?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    messages += [{"role": "tool", "tool_call_id": "c1", "content": "{}"}]
    await served.post(ask(messages=messages), headers=HEADERS)
    charged = {entry.kind: entry.nanodollars for entry in await served.entries()}
    assert charged == {"tool": 10_000_000, "model": 0}
    assert upstream.seen == []


async def test_a_gateway_behind_a_gateway_says_what_it_cost(staffed):
    served = await staffed()
    headers = HEADERS | {"x-trimtab-gateway": "1"}
    answer = await served.post(ask(stream=True), headers=headers)
    assert b"cost_nanodollars" in answer.body


async def test_odd_bodies_are_the_models(staffed, upstream, monkeypatch):
    monkeypatch.setattr("trimtab.dispatch.asking.MOST_BYTES", 10_000)
    served = await staffed()
    long = ask("order " + "x" * 10_000)
    for body in (
        long,
        ask(messages=[{"role": "user", "content": "order"}, {"role": "critic", "content": "no"}]),
    ):
        assert (await served.post(body, headers=HEADERS)).status == 200
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("text", ["", "x" * 100_000 + " order", "\u0000\ufffd order", "我的 order 在哪里?"])
async def test_any_text_is_decided_upon_or_left(staffed, text):
    served = await staffed()
    assert (await served.post(ask(text), headers=HEADERS)).status == 200


TEXT = {"type": "text", "text": "my order?"}
IMAGE = {"type": "image_url", "image_url": {"url": PICTURE}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "f1"}}
LOOKED_UP = [
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "get_user", "arguments": '{"id": "U1"}'}}
    ]},
    {"role": "tool", "tool_call_id": "c1", "content": "{}"},
]  # fmt: skip


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [IMAGE]}],
        [{"role": "user", "content": [SOUND]}],
        [{"role": "user", "content": [FILE, TEXT]}],
        [{"role": "user", "content": [TEXT, IMAGE]}],
        [{"role": "user", "content": [TEXT, {"type": "order_card", "text": "my order?"}]}],
        [{"role": "user", "content": [{"type": "text"}, TEXT]}],
        [{"role": "user", "content": [IMAGE]}, {"role": "user", "content": "my order?"}],
        [
            {"role": "user", "content": [IMAGE]},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "my order?"},
        ],
        [{"role": "user", "content": [TEXT, IMAGE]}, *LOOKED_UP],
        [
            {"role": "user", "content": "my order?"},
            LOOKED_UP[0],
            {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]},
        ],
    ],
)
async def test_what_the_user_said_last_and_nobody_can_read_is_the_models(staffed, upstream, messages):
    served = await staffed([{"when": "", "calls": [["get_order", {"id": "W1"}]]}])
    await served.post(ask(messages=messages), headers=HEADERS)
    assert len(upstream.seen) == 1
    (decision,) = json.loads((await served.call()).controllers)
    assert not decision["followed"]
    assert "which no controller reads" in decision["reasons"][0]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [TEXT]}],
        [{"role": "user", "content": [{"text": "my order?"}]}],
        [{"role": "user", "content": [IMAGE]}, *LOOKED_UP, {"role": "user", "content": "my order?"}],
        [
            {"role": "user", "content": "my order?"},
            LOOKED_UP[0] | {"content": [{"type": "refusal", "refusal": "no"}]},
            LOOKED_UP[1],
        ],
    ],
)
async def test_pictures_of_earlier_turns_and_the_models_own_words_are_no_bar(staffed, upstream, messages):
    served = await staffed([{"when": "", "calls": [["get_order", {"id": "W1"}]]}])
    await served.post(ask(messages=messages), headers=HEADERS)
    assert upstream.seen == []


async def test_a_picture_in_messages_is_the_models_too(staffed, upstream):
    served = await staffed()
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "image", "source": source}, TEXT]
    body = {"model": "gpt-small", "max_tokens": 50, "tools": [{"name": "get_order", "input_schema": LOOK_UP}]}
    await served.post(body | {"messages": [{"role": "user", "content": content}]}, "/v1/messages", HEADERS)
    (decision,) = json.loads((await served.call()).controllers)
    assert "image_url" in decision["reasons"][0]


async def test_a_picture_slips_past_no_gate(staffed, upstream):
    messages = [{"role": "user", "content": [{"type": "text", "text": "evil"}, IMAGE]}]
    served = await staffed([{"when": "evil", "label": "refuse"}], "gate")
    assert (await served.post(ask(messages=messages), headers=HEADERS)).status == 403
    assert upstream.seen == []


async def test_a_picture_steers_no_route(staffed, upstream):
    settings = '[[endpoint]]\nname = "other"\nurl = "UPSTREAM"\nmodels = ["tiny"]\n'
    settings += '[workflow.support]\nroutes = { easy = ["tiny"] }\n'
    served = await staffed([{"when": "", "label": "easy"}], "route", settings=settings)
    for content in ("easy one", [TEXT, IMAGE]):
        await served.post(ask(messages=[{"role": "user", "content": content}], tools=None), headers=HEADERS)
    assert [call.model for call in await served.calls()] == ["tiny", "gpt-small"]


def hinted(place="function", name="cancel_order", **hints):
    """The tools, one of them with MCP's annotations."""
    tools = json.loads(json.dumps(TOOLS))
    one = next(tool for tool in tools if tool["function"]["name"] == name)
    (one["function"] if place == "function" else one)["annotations"] = hints
    return tools


TRUSTING = SETTINGS + "trust_hints = true\n"


@pytest.mark.parametrize(
    ("settings", "text", "tools", "answered"),
    [
        (TRUSTING, "cancel", hinted(readOnlyHint=True), True),
        (TRUSTING, "cancel", hinted("tool", readOnlyHint=True), True),
        (TRUSTING, "cancel", hinted(readOnlyHint=True, destructiveHint=False, title="It"), True),
        (SETTINGS, "cancel", hinted(readOnlyHint=True), False),
        (TRUSTING, "cancel", hinted(readOnlyHint=False), False),
        (TRUSTING, "cancel", hinted(readOnlyHint=True, destructiveHint=True), False),
        (TRUSTING, "cancel", hinted(readOnlyHint="true"), False),
        (TRUSTING, "cancel", hinted(name="get_user", readOnlyHint=True), False),
        (SETTINGS, "order", hinted(name="get_order", destructiveHint=True), False),
        (SETTINGS, "order", hinted("tool", "get_order", destructiveHint="yes"), False),
        (SETTINGS, "order", hinted(name="get_order", readOnlyHint=False), True),
        (SETTINGS, "order", hinted(name="get_order", destructiveHint=None), True),
        (SETTINGS + 'write_allowed = ["cancel_order"]\n', "cancel", hinted(destructiveHint=True), True),
    ],
)
async def test_a_tools_own_word_counts_where_settings_trust_it_and_a_warning_always(
    staffed, upstream, settings, text, tools, answered
):
    served = await staffed(settings=settings)
    assert (await served.post(ask(text, tools=tools), headers=HEADERS)).status == 200
    assert len(upstream.seen) == (0 if answered else 1)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_hints_are_read_on_every_surface(staffed, upstream, path):
    served = await staffed(settings=TRUSTING)
    tool = {"name": "cancel_order", "annotations": {"readOnlyHint": True}}
    if path == "/v1/messages":
        body = {"max_tokens": 50, "tools": [tool | {"input_schema": LOOK_UP}]}
        body["messages"] = [{"role": "user", "content": "cancel"}]
    else:
        body = {"input": "cancel", "tools": [tool | {"type": "function", "parameters": LOOK_UP}]}
    assert (await served.post(body | {"model": "gpt-small"}, path, HEADERS)).status == 200
    assert upstream.seen == []
