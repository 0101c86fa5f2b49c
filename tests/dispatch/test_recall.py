"""The exact cache: the same question of the same tenant costs nothing, where a rule asks for it."""

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import Says, refuses, sends

RULE = "[[rule]]\nwhen = \"step != 'fresh'\"\nrecall_seconds = 60\n"
COLD = {"temperature": 0}


@pytest.fixture
async def recalling(serve, upstream):
    return await serve(endpoint(upstream) + RULE)


async def test_a_repeated_call_costs_nothing_and_asks_nobody(recalling, upstream):
    first = await recalling.post(ask(**COLD))
    second = await recalling.post(ask(**COLD), headers={"x-trimtab-run": "r2"})
    assert first.body == second.body
    assert second.headers["x-trimtab-answered-by"] == "recall"
    assert second.headers["x-trimtab-cost-nanodollars"] == "0"
    assert len(upstream.seen) == 1
    lines = {line.run: line for line in await recalling.entries()}
    assert (lines["r2"].nanodollars, lines["r2"].reason) == (0, "recalled")
    calls = {call.run: call for call in await recalling.calls()}
    assert (calls["r2"].answered_by, calls["r2"].nanodollars, calls["r2"].status) == ("recall", 0, "ok")


@pytest.mark.parametrize("first", [False, True])
async def test_plain_and_streamed_calls_recall_each_others_replies(recalling, upstream, first):
    asked = ask(**COLD)
    options = {"stream_options": {"include_usage": True}}
    answers = [
        await recalling.post(asked | {"stream": s} | (options if s else {})) for s in (first, not first)
    ]
    plain, streamed = answers if not first else reversed(answers)
    assert streamed.text == plain.json["choices"][0]["message"]["content"] == Says().text
    assert streamed.events[-2]["usage"] == plain.json["usage"]
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "Hi"}),
        ("/v1/responses", {"input": "Hi", "temperature": 0}),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "temperature": 0},
        ),
    ],
)
async def test_other_surfaces_recall_plain_replies(recalling, upstream, path, body):
    answers = [await recalling.post(body | {"model": "gpt-small"}, path) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert len(upstream.seen) == 1


async def test_who_asks_and_how_it_is_delivered_make_no_difference(recalling, upstream):
    await recalling.post(ask(**COLD, user="ann", metadata={"run": "r1"}))
    await recalling.post(ask(user="bob", metadata={"run": "r2"}, **COLD))
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"max_completion_tokens": 9}, {"top_p": 0.5}, {"x_vendor": 1}]
)
async def test_everything_else_does(recalling, upstream, other):
    await recalling.post(ask(**COLD))
    await recalling.post(ask(**COLD) | other)
    assert len(upstream.seen) == 2


async def test_one_tenants_replies_are_not_anothers(recalling, upstream):
    for tenant in ("acme", "blue"):
        key = await recalling.key(tenant)
        answer = await recalling.post(ask(**COLD), headers={"authorization": f"Bearer {key}"})
        assert "x-trimtab-answered-by" not in answer.headers
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.7}, {"temperature": None}])
async def test_sampled_calls_are_never_recalled_unless_asked(recalling, upstream, sampling):
    for _ in range(2):
        await recalling.post(ask(**sampling))
    assert len(upstream.seen) == 2
    assert await recalling.recalls() == []


async def test_sampled_calls_are_recalled_where_a_rule_asks_for_it(serve, upstream):
    served = await serve(endpoint(upstream) + RULE + "recall_sampled = true\n")
    for _ in range(2):
        await served.post(ask())
    assert len(upstream.seen) == 1


async def test_calls_the_rule_does_not_hold_for_are_not_recalled(recalling, upstream):
    for _ in range(2):
        await recalling.post(ask(**COLD), headers={"x-trimtab-step": "fresh"})
    assert len(upstream.seen) == 2


async def test_a_kept_reply_ends_with_its_time(recalling, upstream, clock):
    await recalling.post(ask(**COLD))
    clock.ahead += 59
    await recalling.post(ask(**COLD))
    assert len(upstream.seen) == 1
    clock.ahead += 2
    await recalling.post(ask(**COLD))
    assert len(upstream.seen) == 2
    await recalling.post(ask(**COLD))
    assert len(upstream.seen) == 2


async def test_a_kept_reply_outlives_the_process(serve, upstream):
    for _ in range(2):
        served = await serve(endpoint(upstream) + RULE)
        await served.post(ask(**COLD))
        await served.at_rest()
        await served.close()
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("script", [refuses(500), sends(b'{"error": "no"}'), sends(b"{")])
async def test_failures_are_not_kept(recalling, upstream, script):
    upstream.then(script)
    assert (await recalling.post(ask(**COLD))).status == 502
    assert (await recalling.post(ask(**COLD))).status == 200
    assert len(upstream.seen) == 2


async def test_a_stream_that_was_left_is_not_kept(recalling, upstream):
    upstream.then(Says(between_seconds=0.05))
    async with recalling.session.post(
        f"{recalling.v1}/chat/completions", json=ask(stream=True, **COLD)
    ) as answer:
        await answer.content.readline()
    await recalling.at_rest()
    assert (await recalling.post(ask(**COLD))).json["choices"][0]["message"]["content"] == Says().text
    assert len(upstream.seen) == 2


async def test_a_kept_reply_that_no_stream_can_tell_is_asked_for_anew(recalling, upstream):
    usage = b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}'
    upstream.then(sends(b'{"choices":[{"text":"old style"}],' + usage + b"}"))
    assert (await recalling.post(ask(**COLD))).status == 200
    assert (await recalling.post(ask(stream=True, **COLD))).text == Says().text


async def test_keys_and_models_are_checked_before_a_reply_is_recalled(recalling):
    full, narrow = await recalling.key("acme"), await recalling.key("acme", models=("other",))
    await recalling.post(ask(**COLD), headers={"authorization": f"Bearer {full}"})
    refused = await recalling.post(ask(**COLD), headers={"authorization": f"Bearer {narrow}"})
    assert refused.status == 403


async def test_what_a_tenant_wants_dropped_is_not_kept(serve, upstream):
    served = await serve(endpoint(upstream) + RULE + '[[tenant]]\nname = "default"\ncontent = "drop"\n')
    for stream in (False, True):
        await served.post(ask(stream=stream, **COLD))
    assert len(upstream.seen) == 2
    assert await served.recalls() == []
    assert all(call.request is None and call.reply is None for call in await served.calls())
