"""Idempotency keys on the way to endpoints: only where somebody named the call, never the same for two tenants."""

from gateway.served import ask, endpoint
from gateway.upstream import Says, refuses
from trimtab.tenants import digest_of

KEY = "idempotency-key"


def bearer(key):
    return {"authorization": f"Bearer {key}"}


async def test_a_call_that_nobody_named_has_no_key(house, upstream):
    await house.post(ask())
    assert KEY not in upstream.seen[0].headers


async def test_a_clients_key_is_kept_over_retries_and_told_apart_by_tenant(serve, upstream):
    upstream.then(refuses(500), Says())
    served = await serve(endpoint(upstream, more="retries = 1\n"))
    acme, rival = bearer(await served.key("acme")), bearer(await served.key("rival"))
    for who, key in ((acme, "mine"), (acme, "mine"), (acme, "other"), (rival, "mine")):
        assert (await served.post(ask(), headers={**who, "Idempotency-Key": key})).status == 200
    first, retried, again, other, foreign = [seen.headers[KEY] for seen in upstream.seen]
    assert first == retried == again
    assert len({first, other, foreign}) == 3
    assert "mine" not in first
    assert len(first) == len(digest_of("x"))


async def test_two_models_at_one_endpoint_are_two_calls(serve, upstream):
    upstream.then(Says(finish="length"))
    models = '[[model]]\nname = "best"\ncandidates = ["ada", "bob"]\npolicy = "careful"\n'
    models += '[[model]]\nname = "ada"\nquality = 0.2\n[[model]]\nname = "bob"\nquality = 0.9\n'
    policy = '[policy.careful]\nkind = "cascade"\nverifiers = [{ kind = "finish_reason" }]\n'
    served = await serve(endpoint(upstream, models='"ada", "bob"') + models + policy)
    assert (await served.post(ask("best"), headers={"Idempotency-Key": "k"})).status == 200
    first, second = upstream.seen
    assert (first.json["model"], second.json["model"]) == ("ada", "bob")
    assert first.headers[KEY] != second.headers[KEY]


async def test_a_key_nobody_can_send_on_is_made_one(house, upstream):
    answer = await house.post(ask(), headers={"Idempotency-Key": "clé " + "x" * 5_000})
    assert answer.status == 200
    assert upstream.seen[0].headers[KEY].isascii()
