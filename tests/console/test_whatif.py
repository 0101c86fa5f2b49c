"""A run as a what-if: tried under a policy, nothing sent, nobody else's run shown."""

import pytest

from console.visiting import words
from gateway.served import ask, endpoint

PRICES = ("price = { input = 1.0, output = 10.0 }", "price = { input = 0.1, output = 1.0 }")
EITHER = '[[model]]\nname = "either"\ncandidates = ["gpt-small", "gpt-tiny"]\n'


@pytest.fixture
async def served(serve, upstream):
    """Two models, one of them cheaper, and a name for either; a run that the dear one answered."""
    text = (
        endpoint(upstream, more=PRICES[0])
        + endpoint(upstream, "other", '"gpt-tiny"', PRICES[1])
        + EITHER
        + '[policy.dear]\nkind = "pinned"\nendpoint = "main"\n'
    )
    made = await serve(f'default_policy = "dear"\n{text}')
    for _ in range(2):
        assert (await made.post(ask("either"), headers={"x-trimtab-run": "mine"})).status == 200
    made.sent = len(upstream.seen)
    made.upstream = upstream
    return made


async def test_a_run_is_tried_under_another_policy_and_nothing_is_sent(served, guests):
    guest = await guests(served)
    plain = await guest.get("/console/whatif?id=mine")
    assert "Its cost" not in words(plain)
    assert "What its 2 calls would have cost" in words(plain)
    tried = words(await guest.get("/console/whatif?id=mine&policy=cheapest"))
    assert "2 of 2" in tried
    assert "gpt-tiny at other" in tried
    assert "0 of 2" in words(await guest.get("/console/whatif?id=mine&policy=dear"))
    assert len(served.upstream.seen) == served.sent


async def test_a_policy_that_is_not_there_is_named_with_those_that_are(served, guests):
    answer = await (await guests(served)).get("/console/whatif?id=mine&policy=best")
    assert (answer.status, "policy is one of cheapest, dear, fastest, pinned" in words(answer)) == (400, True)


async def test_another_tenants_run_is_not_tried(served, guests):
    guest = await guests(served, "viewer", tenant="other")
    assert (await guest.get("/console/whatif?tenant=default&id=mine&policy=cheapest")).status == 403
    assert (await guest.get("/console/whatif?id=mine&policy=cheapest")).status == 404


async def test_a_policy_that_cannot_be_made_is_told_as_bad_input(serve, upstream, guests):
    served = await serve(f'{endpoint(upstream)}[policy.odd]\nkind = "no_such_module:route"\n')
    assert (await served.post(ask(), headers={"x-trimtab-run": "mine"})).status == 200
    answer = await (await guests(served)).get("/console/whatif?id=mine&policy=odd")
    assert (answer.status, "'no_such_module:route' cannot be loaded" in words(answer)) == (400, True)
