"""What engines are told of a call: only where their settings say so, and each in its own words."""

import json

import pytest

from gateway.served import ask, endpoint
from trimtab.config import load_text
from trimtab.core import Attribution, Call
from trimtab.core.errors import BadRequest
from trimtab.dispatch.passing import NOTHING_KNOWN, Known, passed_on

VLLM = 'engine = "vllm"\nscrape_seconds = 0\n'
SGLANG = 'engine = "sglang"\nscrape_seconds = 0\n'
DYNAMO = 'engine = "dynamo"\nscrape_seconds = 0\n'


def urgent(priority):
    return {"x-trimtab-priority": str(priority)}


@pytest.mark.parametrize(("engine", "told"), [(VLLM, -3), (SGLANG, 3)])
async def test_vllm_serves_the_lower_first_and_sglang_the_higher(serve, upstream, engine, told):
    served = await serve(endpoint(upstream, more=engine + 'pass_on = ["priority"]\n'))
    assert (await served.post(ask(), headers=urgent(3))).status == 200
    assert upstream.seen[0].json["priority"] == told


async def test_a_call_of_no_priority_goes_out_in_the_clients_own_bytes(serve, upstream):
    served = await serve(endpoint(upstream, more=VLLM + 'pass_on = ["priority"]\n'))
    body = json.dumps(ask(), indent=3).encode()
    assert (await served.post(body)).status == 200
    assert upstream.seen[0].body == body


async def test_a_client_cannot_put_itself_first(serve, upstream):
    served = await serve(endpoint(upstream, more=VLLM + 'pass_on = ["priority"]\n'))
    assert (await served.post(ask(priority=-99))).status == 200
    assert (await served.post(ask(priority=-99), headers=urgent(1))).status == 200
    assert "priority" not in upstream.seen[0].json
    assert upstream.seen[1].json["priority"] == -1


async def test_nothing_is_passed_on_where_the_settings_do_not_say_so(serve, upstream):
    served = await serve(endpoint(upstream, more=VLLM + "pass_on = []\n"))
    assert (await served.post(ask(), headers=urgent(3))).status == 200
    assert "priority" not in upstream.seen[0].json
    assert "x-request-id" not in upstream.seen[0].headers


async def test_the_attempts_id_goes_along(serve, upstream):
    served = await serve(endpoint(upstream, more=SGLANG))
    assert (await served.post(ask(stream=True))).status == 200
    assert upstream.seen[0].headers["x-request-id"]


async def test_an_anthropic_client_is_passed_on_too(serve, upstream):
    served = await serve(endpoint(upstream, more=VLLM + 'pass_on = ["priority"]\n'))
    body = {"model": "gpt-small", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello?"}]}
    assert (await served.post(body, "/v1/messages", urgent(2))).status == 200
    assert upstream.seen[0].json["priority"] == -2


async def test_dynamo_is_given_hints_and_keeps_the_clients_others(serve, upstream):
    served = await serve(endpoint(upstream, more=DYNAMO + 'pass_on = ["agent_hints"]\n'))
    said = {"annotations": ["x"], "agent_hints": {"speculative_prefill": True, "priority": 99}}
    assert (await served.post(ask(nvext=said), headers=urgent(2))).status == 200
    assert (await served.post(ask(), headers=urgent(2))).status == 200
    assert upstream.seen[0].json["nvext"] == {
        "annotations": ["x"],
        "agent_hints": {"speculative_prefill": True, "priority": 2},
    }
    assert upstream.seen[1].json["nvext"] == {"agent_hints": {"priority": 2}}


def settings(engine, what):
    text = f'[[endpoint]]\nname = "a"\nurl = "http://127.0.0.1:1/v1"\nmodels = ["m"]\n{engine}pass_on = ["{what}"]\n'
    return load_text(text, "t.toml", {}).settings.endpoint[0]


def call(priority=0):
    who = Attribution(tenant="t", run="r")
    return Call("c", 0.0, "chat", "m", who, 10, 10, priority=priority)


@pytest.mark.parametrize(("engine", "told"), [(VLLM, b"12346"), (SGLANG, b"-12")])
def test_a_rank_of_the_scheduler_is_the_whole_order(engine, told):
    known = Known(rank=12.3456)
    assert passed_on(b"{}", settings(engine, "priority"), call(5), "", known) == {"priority": told}


def test_sglang_takes_the_attempts_id_for_its_own():
    changes = passed_on(b"{}", settings(SGLANG, "request_id"), call(), "at-1", NOTHING_KNOWN)
    assert changes == {"rid": b'"at-1"'}


def test_an_expected_length_is_dynamos_osl():
    known = Known(output_tokens=41.7)
    changes = passed_on(b"{}", settings(DYNAMO, "agent_hints"), call(), "", known)
    assert json.loads(changes["nvext"]) == {"agent_hints": {"osl": 42}}


def test_hints_of_a_wrong_shape_are_the_clients_fault():
    with pytest.raises(BadRequest, match="nvext"):
        passed_on(b'{"nvext": 3}', settings(DYNAMO, "agent_hints"), call(1), "", NOTHING_KNOWN)
