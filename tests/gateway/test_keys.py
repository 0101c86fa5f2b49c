"""Who may come in."""

import asyncio
import hashlib

import pytest

from trimtab.budgets import KeyLimit
from trimtab.store import keys
from trimtab.store.schema import api_key
from trimtab.tenants import create_key, limit_key

from .served import ask, endpoint
from .upstream import waits


def bearer(key):
    return {"authorization": f"Bearer {key}"}


async def test_without_keys_loopback_is_served_whatever_it_presents(house):
    assert (await house.post(ask())).status == 200
    assert (await house.post(ask(), headers=bearer("sk-anything"))).status == 200
    assert {line.tenant for line in await house.entries()} == {"default"}


@pytest.mark.parametrize(
    "forwarded",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-for": "10.0.0.7"},
        {"forwarded": "for=10.0.0.7"},
        {"x-real-ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x-forwarded-host": "example.org"},
        {"x-forwarded-proto": "https"},
        {"cf-connecting-ip": "10.0.0.7"},
        {"true-client-ip": "10.0.0.7"},
    ],
)
async def test_what_a_proxy_forwards_is_not_loopback(house, upstream, forwarded):
    answer = await house.post(ask(), headers=forwarded)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert upstream.seen == []


async def test_once_a_key_was_made_loopback_needs_one_too(house):
    key = await house.key()
    for headers in ({}, bearer("tt-wrong"), {"authorization": "Basic abc"}, {"x-api-key": ""}):
        answer = await house.post(ask(), headers=headers)
        assert (answer.status, answer.error["type"]) == (401, "authentication_error")
    assert (await house.post(ask(), headers=bearer(key))).status == 200
    assert (await house.post(ask(), headers={"x-api-key": key})).status == 200
    assert (await house.get("/v1/models")).status == 401
    assert (await house.get("/v1/models/gpt-small")).status == 401
    assert (await house.get("/healthz")).status == 200


async def test_only_digests_of_keys_are_stored(house, tmp_path):
    key = await house.key()
    (row,) = await house.rows(api_key)
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    await house.post(ask(), headers=bearer(key))
    await house.call()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(key.encode() in data for data in files)


async def test_a_key_ends_at_its_time(house, clock):
    key = await house.key(expires_at=clock.now() + 60)
    assert (await house.post(ask(), headers=bearer(key))).status == 200
    clock.ahead += 61
    answer = await house.post(ask(), headers=bearer(key))
    assert (answer.status, "expired" in answer.error["message"]) == (401, True)


async def test_a_revoked_key_stops_within_the_refresh(house, clock):
    key, other = await house.key(), await house.key()
    assert (await house.post(ask(), headers=bearer(key))).status == 200
    row = next(
        row for row in await house.rows(api_key) if row.digest == hashlib.sha256(key.encode()).hexdigest()
    )
    await house.house.database.run(lambda connection: keys.revoke(connection, row.id, clock.now()))
    async with asyncio.timeout(4):
        while (await house.post(ask(), headers=bearer(key))).status != 401:
            await asyncio.sleep(0.1)
    assert (await house.post(ask(), headers=bearer(other))).status == 200


async def test_a_door_once_locked_stays_locked(house, clock):
    await house.key()
    (row,) = await house.rows(api_key)
    await house.house.database.run(lambda connection: keys.revoke(connection, row.id, clock.now()))
    await house.house.keyring.load()
    assert (await house.post(ask())).status == 401


async def test_a_key_made_elsewhere_is_known_at_its_first_call(house, clock):
    await house.key()
    secret, _ = await asyncio.to_thread(create_key, house.house.database, clock, "acme", "", "operator")
    assert (await house.post(ask(), headers=bearer(secret))).status == 200


async def test_viewers_may_look_but_not_call(house, upstream):
    key = await house.key(role="viewer")
    answer = await house.post(ask(), headers=bearer(key))
    assert (answer.status, answer.error["code"], answer.error["type"]) == (
        403,
        "forbidden",
        "permission_error",
    )
    assert (await house.get("/v1/models", bearer(key))).status == 200
    assert upstream.seen == []
    assert (await house.call()).status == "refused"


async def test_a_key_may_use_its_models_only(serve, upstream):
    served = await serve(endpoint(upstream, models='"gpt-small", "gpt-large"'))
    key = await served.key(models=("gpt-small",))
    assert (await served.post(ask(), headers=bearer(key))).status == 200
    answer = await served.post(ask("gpt-large"), headers=bearer(key))
    assert (answer.status, answer.error["param"]) == (403, "model")
    listed = await served.get("/v1/models", bearer(key))
    assert [model["id"] for model in listed.json["data"]] == ["gpt-small"]
    assert (await served.get("/v1/models/gpt-large", bearer(key))).status == 404
    assert (await served.get("/v1/models/gpt-small", bearer(key))).status == 200


async def test_the_endpoints_key_goes_there_and_the_clients_does_not(serve, upstreams):
    plain, claude = await upstreams(), await upstreams()
    secret = 'api_key_env = "UPSTREAM_KEY"\n'
    served = await serve(
        endpoint(plain, "plain", more=secret)
        + endpoint(claude, "claude", '"claude"', secret + 'style = "anthropic"'),
        UPSTREAM_KEY="sk-of-the-house",
    )
    key = await served.key()
    assert (await served.post(ask(), headers=bearer(key))).status == 200
    body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    assert (await served.post(body, "/v1/messages", {"x-api-key": key})).status == 200
    assert plain.seen[0].headers["authorization"] == "Bearer sk-of-the-house"
    assert claude.seen[0].headers["x-api-key"] == "sk-of-the-house"
    for seen in (*plain.seen, *claude.seen):
        assert key not in str(seen.headers)
        assert not any(name.startswith("x-trimtab") for name in seen.headers)


@pytest.mark.parametrize(
    "origin", ["https://example.org", "null", "http://localhost.example.org", "http://["]
)
async def test_the_page_of_another_site_is_not_loopback(house, upstream, origin):
    answer = await house.post(ask(), headers={"origin": origin})
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert upstream.seen == []


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080"])
async def test_a_page_of_this_machine_is_loopback(house, origin):
    assert (await house.post(ask(), headers={"origin": origin})).status == 200


async def test_metrics_tell_of_all_tenants_so_they_are_for_this_machine_and_admins(house):
    tenants, admins = await house.key("acme"), await house.key("acme", role="admin")
    afar = {"x-forwarded-for": "10.0.0.7"}
    assert (await house.get("/metrics")).status == 200
    statuses = [
        (await house.get("/metrics", afar | more)).status for more in ({}, bearer(tenants), bearer(admins))
    ]
    assert statuses == [401, 403, 200]


async def test_a_key_spends_up_to_its_limit_and_no_further(house, upstream):
    free, limited = await house.key(user="ada"), await house.key(user="bob")
    bob = next(row.id for row in await house.rows(api_key) if row.user == "bob")
    assert (await house.post(ask(), headers=bearer(limited))).status == 200
    spent = (await house.entry()).nanodollars
    assert spent > 0
    await limited_to(house, bob, spent + 1)
    answer = await house.post(ask(), headers=bearer(limited))
    assert (answer.status, answer.error["code"]) == (402, "budget_exceeded")
    assert "key limit/month" in answer.error["message"]
    assert (await house.post(ask(), headers=bearer(free))).status == 200
    await limited_to(house, bob, 10**10)
    assert (await house.post(ask(), headers=bearer(limited))).status == 200
    await house.at_rest()
    await limited_to(house, bob, spent)
    assert (await house.post(ask(), headers=bearer(limited))).status == 402
    assert len(upstream.seen) == 3


async def limited_to(house, id, nanodollars):
    limit = KeyLimit(nanodollars, "month")
    assert await asyncio.to_thread(limit_key, house.house.database, house.clock, id, limit)
    await house.house.keyring.load()


async def test_calls_that_wait_are_held_to_a_limit_that_was_lowered_meanwhile(serve, upstream):
    served = await serve(endpoint(upstream, more="concurrency = 1"))
    key, gate = await served.key(), asyncio.Event()
    (row,) = await served.rows(api_key)
    await limited_to(served, row.id, 10**10)
    upstream.then(waits(gate))
    calls = [asyncio.ensure_future(served.post(ask(), headers=bearer(key))) for _ in range(3)]
    await upstream.arrivals(1)
    await limited_to(served, row.id, 0)
    gate.set()
    assert sorted(answer.status for answer in await asyncio.gather(*calls)) == [200, 402, 402]
    assert len(upstream.seen) == 1
