"""Whose call it is: headers, then metadata, then trace context, else a run of one call."""

import msgspec
import pytest

from .served import ask
from .upstream import refuses

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def messages(**members):
    return {"model": "gpt-small", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5} | members


async def test_headers_name_everything(house):
    named = {
        f"x-trimtab-{name}": f"my-{name}" for name in ("run", "step", "workflow", "user", "task", "agent")
    }
    answer = await house.post(ask(), headers=named | {"x-trimtab-parent": "p1"})
    assert answer.headers["x-trimtab-run"] == "my-run"
    line, called = await house.entry(), await house.call()
    assert (line.run, line.step, line.workflow, line.user) == ("my-run", "my-step", "my-workflow", "my-user")
    assert (called.run, called.parent, called.id) == ("my-run", "p1", answer.headers["x-trimtab-call"])
    run = (await house.runs())["default", "my-run"]
    assert (run.task, run.agent, run.user, run.workflow) == ("my-task", "my-agent", "my-user", "my-workflow")


@pytest.mark.parametrize("name", ["trimtab_run", "run_id", "run"])
async def test_metadata_names_the_run(house, name):
    await house.post(ask(metadata={name: "m1", "step": "plan", "trimtab_workflow": "travel", "user": "ann"}))
    line = await house.entry()
    assert (line.run, line.step, line.workflow, line.user) == ("m1", "plan", "travel", "ann")


async def test_trace_context_names_the_run_by_its_trace(house):
    await house.post(ask(), headers={"traceparent": PARENT})
    assert (await house.entry()).run == TRACE


async def test_baggage_names_the_run_and_its_parts(house):
    baggage = "trimtab.run=r%209, trimtab.step=plan;p=1 ,workflow=travel,junk,user=ann"
    await house.post(ask(), headers={"traceparent": PARENT, "baggage": baggage})
    line = await house.entry()
    assert (line.run, line.step, line.workflow, line.user) == ("r 9", "plan", "travel", "ann")


@pytest.mark.parametrize(
    "parent",
    ["", "junk", PARENT.replace(TRACE, "0" * 32), PARENT.upper(), "00-" + TRACE],
)
async def test_a_malformed_traceparent_is_ignored(house, parent):
    answer = await house.post(ask(), headers={"traceparent": parent})
    assert answer.status == 200
    assert (await house.entry()).run == answer.headers["x-trimtab-call"]


async def test_headers_win_over_metadata_and_metadata_over_trace_context(house):
    context = {"traceparent": PARENT, "baggage": "trimtab.step=from-baggage"}
    said = {"run": "from-metadata", "step": "from-metadata"}
    await house.post(ask(metadata=said), headers=context | {"x-trimtab-run": "from-header"})
    await house.post(ask(metadata=said), headers=context)
    await house.post(ask(), headers=context)
    lines = await house.entries()
    assert [line.run for line in lines] == ["from-header", "from-metadata", TRACE]
    assert [line.step for line in lines] == ["from-metadata", "from-metadata", "from-baggage"]


async def test_a_call_that_names_no_run_is_a_run_of_its_own(house):
    first, second = await house.post(ask()), await house.post(ask())
    runs = {answer.headers["x-trimtab-run"] for answer in (first, second)}
    assert runs == {answer.headers["x-trimtab-call"] for answer in (first, second)}
    assert {line.run for line in await house.entries()} == runs


@pytest.mark.parametrize(
    ("path", "body", "user"),
    [
        ("/v1/chat/completions", ask(user="ann"), "ann"),
        ("/v1/messages", messages(metadata={"user_id": "bob"}), "bob"),
        ("/v1/responses", {"model": "gpt-small", "input": "Hi", "user": "cy"}, "cy"),
        ("/v1/embeddings", {"model": "gpt-small", "input": "Hi", "user": "di"}, "di"),
    ],
)
async def test_each_surfaces_own_user_field_is_read(house, path, body, user):
    assert (await house.post(body, path)).status == 200
    assert (await house.entry()).user == user


async def test_a_keys_own_user_wins_over_what_the_client_claims(house):
    key = await house.key(tenant="acme", user="ann")
    await house.post(ask(user="eve"), headers={"authorization": f"Bearer {key}", "x-trimtab-user": "eve"})
    line = await house.entry()
    assert (line.tenant, line.user) == ("acme", "ann")
    assert line.key


async def test_a_key_without_a_user_lets_the_client_say(house):
    key = await house.key(tenant="acme")
    await house.post(ask(), headers={"authorization": f"Bearer {key}", "x-trimtab-user": "eve"})
    assert (await house.entry()).user == "eve"


async def test_runs_of_one_name_belong_to_their_tenants(house):
    for tenant in ("acme", "blue"):
        key = await house.key(tenant=tenant)
        await house.post(ask(), headers={"authorization": f"Bearer {key}", "x-trimtab-run": "r1"})
    await house.at_rest()
    assert set(await house.runs()) == {("acme", "r1"), ("blue", "r1")}


async def test_the_end_header_ends_the_run(house):
    await house.post(ask(), headers={"x-trimtab-run": "r1"})
    assert not (await house.runs())["default", "r1"].ended
    await house.post(ask(stream=True), headers={"x-trimtab-run": "r1", "x-trimtab-end": "1"})
    await house.at_rest()
    run = (await house.runs())["default", "r1"]
    assert (bool(run.ended), run.calls) == (True, 2)


async def test_a_call_that_fails_ends_its_run_too(house, upstream):
    upstream.then(refuses(500))
    await house.post(ask(), headers={"x-trimtab-run": "r1", "x-trimtab-end": "true"})
    assert (await house.runs())["default", "r1"].ended


async def test_long_and_odd_names_are_kept_short_and_clean(house):
    named = {"x-trimtab-run": "ü" * 500, "x-trimtab-step": "a\tb"}
    await house.post(ask(metadata={"workflow": "one\x00two\x1b[31m"}), headers=named)
    line = await house.entry()
    assert line.run == "ü" * 200
    assert (line.step, line.workflow) == ("ab", "onetwo[31m")


async def test_escapes_in_baggage_cannot_bring_control_characters(house):
    context = {"traceparent": PARENT, "baggage": "trimtab.run=a%00b%0Ac,user=%FF%C3%BC"}
    await house.post(ask(), headers=context)
    line = await house.entry()
    assert line.run == "abc"
    assert "\x00" not in line.user


async def test_numbers_in_headers_are_bounded(house):
    far = {"x-trimtab-priority": "9" * 40}
    near = {"x-trimtab-priority": "-3"}
    refused, served = await house.post(ask(), headers=far), await house.post(ask(), headers=near)
    assert (refused.status, refused.error["param"]) == (400, "x-trimtab-priority")
    assert served.status == 200


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1", "soon", "1e99"])
async def test_a_timeout_that_is_none_is_refused_by_name(house, value):
    answer = await house.post(ask(), headers={"x-trimtab-timeout-seconds": value})
    assert (answer.status, answer.error["param"]) == (400, "x-trimtab-timeout-seconds")


async def test_the_recorded_decision_names_where_the_run_came_from(house):
    await house.post(ask(metadata={"run": "r1"}))
    decision = msgspec.json.decode((await house.call()).decision)
    assert decision["call"]["who"]["source"] == "metadata"


async def test_a_call_that_goes_in_circles_ends(house, upstream):
    assert (await house.post(ask(), headers={"x-trimtab-gateway": "8"})).status == 200
    answer = await house.post(ask(), headers={"x-trimtab-gateway": "9"})
    assert (answer.status, answer.error["code"]) == (400, "gateway_loop")
    assert len(upstream.seen) == 1
