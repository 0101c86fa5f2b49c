"""Budgets and rates: what they refuse, in which words, and what they count."""

import asyncio

import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, refuses, waits
from trimtab.store.schema import meter

SCOPES = {
    "tenant": "day",
    "user": "month",
    "key": "day",
    "workflow": "day",
    "run": "run",
}
# About what one call of `ask()` holds: 50 tokens out, and its bytes in.
ONE_CALL_USD = 0.0008


def budget(scope, window, usd, **match):
    matched = ", ".join(f'{name} = "{value}"' for name, value in match.items())
    return f'[[budget]]\nscope = "{scope}"\nwindow = "{window}"\nlimit_usd = {usd}\nmatch = {{ {matched} }}\n'


async def _headers(served, tenant="acme", user="ann", run="r1", workflow="w1"):
    key = await served.key(tenant, user)
    return {"authorization": f"Bearer {key}", "x-trimtab-run": run, "x-trimtab-workflow": workflow}


@pytest.mark.parametrize("scope", SCOPES)
async def test_each_scope_refuses_with_its_facts_and_spares_others(serve, upstream, scope):
    served = await serve(endpoint(upstream) + budget(scope, SCOPES[scope], ONE_CALL_USD))
    mine = await _headers(served)
    other = await _headers(served, "blue", "bob", "r2", "w2")
    served_calls = 0
    while (answer := await served.post(ask(), headers=mine)).status == 200:
        served_calls += 1
        assert served_calls < 20
    error = answer.error
    assert served_calls >= 1
    assert (answer.status, error["code"], error["type"]) == (402, "budget_exceeded", "insufficient_quota")
    assert f"|{scope}:" in error["budget"]
    assert error["limit_usd"] == f"{ONE_CALL_USD:.9f}"
    spent = sum(line.nanodollars for line in await served.entries())
    assert error["spent_usd"] == f"{spent / 1e9:.9f}"
    assert spent <= ONE_CALL_USD * 1e9
    assert (error["resets_at"] is None) == (scope == "run")
    assert (await served.post(ask(), headers=other)).status == 200
    assert upstream.seen[-1].json == ask()


async def test_a_refused_stream_is_a_402_not_a_stream(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", 0.0))
    answer = await served.post(ask(stream=True))
    assert (answer.status, answer.error["code"]) == (402, "budget_exceeded")
    assert answer.headers["content-type"] == "application/json"


async def test_a_budget_resets_with_its_window(serve, upstream, clock):
    served = await serve(endpoint(upstream) + budget("tenant", "day", ONE_CALL_USD))
    while (await served.post(ask())).status == 200:
        pass
    clock.ahead += 86_400
    assert (await served.post(ask())).status == 200


async def test_a_match_narrows_a_budget(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", 0.0, workflow="dear"))
    assert (await served.post(ask(), headers={"x-trimtab-workflow": "cheap"})).status == 200
    assert (await served.post(ask(), headers={"x-trimtab-workflow": "dear"})).status == 402


async def test_the_tightest_of_several_budgets_refuses_and_the_others_keep_nothing(serve, upstream):
    served = await serve(
        endpoint(upstream) + budget("tenant", "month", 100.0) + budget("run", "run", ONE_CALL_USD)
    )
    while (answer := await served.post(ask(), headers={"x-trimtab-run": "r1"})).status == 200:
        pass
    assert answer.error["budget"].startswith("run/run|")
    spent = sum(line.nanodollars for line in await served.entries())
    held = {id: held for id, (_, held) in served.house.teller.slices.totals().items()}
    assert set(held.values()) == {0}
    settled = {row.name: row.settled for row in await served.rows(meter)}
    assert settled == {"tenant/month": spent, "run/run": spent}


async def test_calls_at_once_never_overspend(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", ONE_CALL_USD * 10))
    upstream.always = Says(before_seconds=0.01)
    answers = await asyncio.gather(*(served.post(ask(stream=bool(n % 2))) for n in range(60)))
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 402}
    spent = sum(line.nanodollars for line in await served.entries())
    assert spent <= ONE_CALL_USD * 10 * 1e9
    assert spent == sum(cost(seen.billed) for seen in upstream.seen)


async def test_a_call_waits_for_open_holds_to_settle_before_it_is_refused(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", ONE_CALL_USD * 1.2))
    gate = asyncio.Event()
    upstream.then(waits(gate))
    first = asyncio.ensure_future(served.post(ask()))
    await upstream.arrivals(1)
    second = asyncio.ensure_future(served.post(ask()))
    slices = served.house.teller.slices._slices
    await served.until(lambda: any(slice.lock.locked() for slice in slices.values()))
    assert not second.done()
    gate.set()
    assert [answer.status for answer in await asyncio.gather(first, second)] == [200, 200]


async def test_failures_that_were_not_billed_give_the_money_back(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", ONE_CALL_USD * 1.2))
    upstream.then(*[refuses(500)] * 10)
    for _ in range(10):
        assert (await served.post(ask())).status == 502
    assert (await served.post(ask())).status == 200


async def test_under_a_budget_the_maximum_that_was_held_is_asked_for(serve, upstream):
    served = await serve(
        "[ledger]\ndefault_max_output_tokens = 77\n" + endpoint(upstream) + budget("tenant", "day", 1.0)
    )
    body = {"model": "gpt-small", "messages": [{"role": "user", "content": "Hi"}]}
    await served.post(body)
    await served.post(body | {"max_tokens": 5})
    assert upstream.seen[0].json["max_completion_tokens"] == 77
    named = upstream.seen[1].json
    assert 5 in (named.get("max_tokens"), named.get("max_completion_tokens"))


@pytest.mark.parametrize("scope", ["tenant", "user", "key", "workflow"])
async def test_requests_a_minute_are_limited(serve, upstream, scope, clock):
    served = await serve(endpoint(upstream) + f'[[rate]]\nscope = "{scope}"\nrequests_per_minute = 3\n')
    clock.ahead += 60 - clock.now() % 60  # a fresh minute
    mine, other = await _headers(served), await _headers(served, "blue", "bob", "r2", "w2")
    statuses = [(await served.post(ask(), headers=mine)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = await served.post(ask(), headers=mine)
    assert (refused.error["code"], refused.error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await served.post(ask(), headers=other)).status == 200
    clock.ahead += int(refused.headers["retry-after"])
    assert (await served.post(ask(), headers=mine)).status == 200
    assert len(upstream.seen) == 5


async def test_tokens_a_minute_are_limited_by_what_was_really_used(serve, upstream, clock):
    served = await serve(endpoint(upstream) + '[[rate]]\nscope = "tenant"\ntokens_per_minute = 2000\n')
    clock.ahead += 60 - clock.now() % 60
    used = {"prompt_tokens": 600, "completion_tokens": 100, "total_tokens": 700}
    upstream.always = Says(usage=used)
    statuses = [(await served.post(ask())).status for _ in range(5)]
    assert statuses.count(200) in (2, 3)
    assert statuses[-1] == 429
    clock.ahead += 60
    assert (await served.post(ask())).status == 200


async def test_a_refusal_by_one_rate_gives_back_what_others_took(serve, upstream, clock):
    rates = '[[rate]]\nscope = "tenant"\nrequests_per_minute = 5\n[[rate]]\nscope = "user"\nrequests_per_minute = 1\n'
    served = await serve(endpoint(upstream) + rates)
    clock.ahead += 60 - clock.now() % 60
    headers = await _headers(served)
    statuses = [(await served.post(ask(), headers=headers)).status for _ in range(8)]
    assert statuses == [200] + [429] * 7
    others = [await _headers(served, user=f"u{n}") for n in range(4)]
    assert [(await served.post(ask(), headers=other)).status for other in others] == [200] * 4


async def test_a_tenants_own_limits_win_over_those_of_all_others(serve, upstream, clock):
    tenants = '[[tenant]]\nname = "*"\nrequests_per_minute = 1\n[[tenant]]\nname = "acme"\nrequests_per_minute = 3\n'
    served = await serve(endpoint(upstream) + tenants)
    clock.ahead += 60 - clock.now() % 60
    for tenant, most in (("acme", 3), ("blue", 1)):
        headers = await _headers(served, tenant)
        statuses = [(await served.post(ask(), headers=headers)).status for _ in range(4)]
        assert statuses == [200] * most + [429] * (4 - most)


async def test_under_a_budget_nobody_asks_for_dearer_service_than_its_price_says(serve, upstream):
    served = await serve(endpoint(upstream) + budget("tenant", "day", 1.0))
    assert (await served.post(ask(service_tier="priority", vendor="kept"))).status == 200
    sent = upstream.seen[0].json
    assert "service_tier" not in sent
    assert sent["vendor"] == "kept"


async def test_without_a_budget_the_tier_passes_through(serve, upstream):
    served = await serve(endpoint(upstream))
    await served.post(ask(service_tier="priority"))
    assert upstream.seen[0].json["service_tier"] == "priority"
