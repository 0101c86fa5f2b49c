"""Functions of the user's own: one that blocks does not stop the gateway, one that hangs is given up."""

import asyncio
import threading

import pytest

from dispatch import own_functions
from gateway.served import ask, endpoint
from trimtab.dispatch import foreign, router, verdict
from trimtab.dispatch.foreign import Foreign

POLICY = 'default_policy = "dispatch.own_functions:first"\n'
VERIFIER = """
default_policy = "careful"
[policy.careful]
kind = "cascade"
verifiers = [{ kind = "python", value = "dispatch.own_functions:accept" }]
[[model]]
name = "any"
candidates = ["small", "large"]
"""


@pytest.fixture
def gate():
    own_functions.gate.clear()
    own_functions.threads.clear()
    yield own_functions.gate
    own_functions.gate.set()


@pytest.fixture
def hurry(monkeypatch):
    for module in (foreign, router, verdict):
        monkeypatch.setattr(module, "SECONDS", 0.2)


@pytest.fixture
async def build(serve, upstreams):
    async def make(kind):
        one, other = await upstreams(), await upstreams()
        if kind == "policy":
            return await serve(POLICY + endpoint(one, models='"any"')), other
        dear = "price = { input = 10.0, output = 100.0 }"
        return await serve(
            VERIFIER + endpoint(one, "a", '"small"') + endpoint(other, "b", '"large"', dear)
        ), other

    return make


@pytest.mark.parametrize("kind", ["policy", "verifier"])
async def test_while_a_function_blocks_others_are_served(build, gate, kind):
    served, _ = await build(kind)
    call = asyncio.ensure_future(served.post(ask("any")))
    for _ in range(5):
        assert (await served.get("/healthz")).status == 200
    assert not call.done()
    gate.set()
    assert (await call).status == 200
    assert own_functions.threads
    assert own_functions.threads[0] is not threading.main_thread()


async def test_a_policy_that_hangs_fails_its_call(build, gate, hurry):
    served, _ = await build("policy")
    answer = await served.post(ask("any"))
    assert (answer.status, answer.error["code"]) == (500, "policy_failed")
    assert "gave no plan within" in answer.error["message"]


async def test_a_verifier_that_hangs_has_not_accepted(build, gate, hurry):
    served, large = await build("verifier")
    answer = await served.post(ask("any"))
    assert (answer.status, answer.headers["x-trimtab-model"]) == (200, "large")
    lines = await served.entries()
    assert "gave no answer within" in lines[0].reason


async def test_what_a_function_raises_is_raised_where_it_is_awaited():
    with pytest.raises(ZeroDivisionError):
        await Foreign().run(lambda: 1 // 0)


async def test_functions_that_hang_take_up_only_so_many_threads(gate, hurry):
    rooms = Foreign(most_at_once=2)
    for _ in range(4):
        with pytest.raises(TimeoutError):
            await rooms.run(gate.wait)
    gate.set()
    assert await rooms.run(lambda: 7) == 7


async def test_a_call_that_is_given_up_leaves_the_place_to_others(gate):
    rooms = Foreign(most_at_once=1)
    task = asyncio.ensure_future(rooms.run(gate.wait))
    await asyncio.sleep(0)
    task.cancel()
    gate.set()
    assert await rooms.run(lambda: 7) == 7
