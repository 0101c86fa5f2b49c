"""Keys: who comes in, as whom, and how soon somebody does not any more."""

import asyncio

import pytest
from sqlalchemy import text

from store.made import FlakyDatabase, Hands
from traces.made import START, entry
from trimtab.budgets import KeyLimit, key_meter
from trimtab.core.errors import Forbidden, LedgerUnavailable, Unauthenticated
from trimtab.store import entries, keys, meters, url_of
from trimtab.tenants import KEY_PREFIX, LOCAL, Keyring, create_key, digest_of, limit_key
from trimtab.tenants import keyring as keyrings


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def database(tmp_path, fresh_database):
    (tmp_path / "trimtab.sqlite").write_bytes(fresh_database.read_bytes())
    opened = FlakyDatabase(url_of("sqlite", tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def ring(database, clock):
    return Keyring(database, clock)


@pytest.fixture
def make(database, clock):
    def made(tenant="acme", user="", role="operator", **more):
        return create_key(database, clock, tenant, user, role, **more)

    return made


def revoke(database, row):
    return database.transact(lambda c: keys.revoke(c, row.id, 5.0))


async def test_without_any_key_only_loopback_is_served(ring):
    await ring.load()
    assert await ring.open("", loopback=True) is LOCAL
    assert await ring.open("tt-whatever", loopback=True) is LOCAL
    with pytest.raises(Unauthenticated, match="only loopback"):
        await ring.open("", loopback=False)


async def test_the_first_key_locks_the_door_for_loopback_too(ring, make):
    make()
    await ring.load()
    with pytest.raises(Unauthenticated, match="no API key"):
        await ring.open("", loopback=True)
    with pytest.raises(Unauthenticated, match="unknown or revoked"):
        await ring.open("tt-wrong", loopback=True)


async def test_the_first_key_opens_from_afar_before_the_next_refresh(ring, make):
    await ring.load()
    key, _ = make()
    assert (await ring.open(key, loopback=False)).tenant == "acme"
    with pytest.raises(Unauthenticated, match="no API key"):
        await ring.open("", loopback=True)


async def test_a_key_says_whose_it_is(ring, make):
    secret, row = make("acme", "ada", "admin", models=("small", "large"))
    await ring.load()
    facts = await ring.open(secret, loopback=False)
    assert (facts.id, facts.tenant, facts.user, facts.role) == (row.id, "acme", "ada", "admin")
    assert facts.models == ("small", "large")


async def test_only_digests_are_stored(make, database):
    secret, row = make()
    assert secret.startswith(KEY_PREFIX)
    assert row.digest == digest_of(secret)
    stored = str(database.transact(lambda c: c.execute(text("SELECT * FROM api_key")).all()))
    assert secret not in stored
    assert secret[:10] in stored


async def test_a_new_key_opens_at_once(ring, make):
    make()
    await ring.load()
    secret, _ = make("beta")
    assert (await ring.open(secret, loopback=False)).tenant == "beta"


async def test_a_revoked_key_is_shut_out_with_the_next_refresh(ring, make, database):
    secret, row = make()
    make("beta")
    await ring.load()
    await ring.open(secret, loopback=False)
    assert revoke(database, row)
    assert not revoke(database, row)
    await ring.load()
    with pytest.raises(Unauthenticated):
        await ring.open(secret, loopback=False)


async def test_a_key_made_used_and_revoked_between_two_refreshes_is_shut_out(ring, make, database):
    make("beta")
    await ring.load()
    secret, row = make()
    await ring.open(secret, loopback=False)
    revoke(database, row)
    await ring.load()
    with pytest.raises(Unauthenticated):
        await ring.open(secret, loopback=False)


async def test_the_door_stays_locked_when_all_keys_are_revoked(ring, make, database):
    secret, row = make()
    revoke(database, row)
    await ring.load()
    with pytest.raises(Unauthenticated):
        await ring.open("", loopback=True)
    with pytest.raises(Unauthenticated):
        await ring.open(secret, loopback=True)


async def test_a_key_ends_when_it_was_to_end(ring, make, clock):
    secret, _ = make(expires_at=clock.now() + 10)
    await ring.load()
    await ring.open(secret, loopback=False)
    clock.at += 10
    with pytest.raises(Unauthenticated, match="expired"):
        await ring.open(secret, loopback=False)


async def test_while_the_database_is_away_known_keys_open_and_others_are_not_judged(ring, make, database):
    known, _ = make()
    await ring.load()
    fresh, _ = make("beta")
    database.lost = 1.0
    await ring.open(known, loopback=False)
    with pytest.raises(LedgerUnavailable) as refused:
        await ring.open(fresh, loopback=False)
    assert refused.value.retry_after_seconds


async def test_a_wrong_key_is_not_looked_up_again_and_again(ring, make, database, clock):
    make()
    await ring.load()
    asked = []
    real = database.transact
    database.transact = lambda work: (asked.append(1), real(work))[1]
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await ring.open("tt-wrong", loopback=False)
    assert len(asked) == 1
    clock.at += 3
    with pytest.raises(Unauthenticated):
        await ring.open("tt-wrong", loopback=False)
    assert len(asked) == 2


async def test_guesses_do_not_fill_the_memory(ring, make, monkeypatch):
    monkeypatch.setattr(keyrings, "_MOST_UNKNOWN", 10)
    make()
    await ring.load()
    for number in range(35):
        with pytest.raises(Unauthenticated):
            await ring.open(f"tt-{number}", loopback=False)
    assert len(ring._unknown) <= 10


@pytest.mark.parametrize(
    ("has", "needs", "opens"),
    [
        ("viewer", "viewer", True),
        ("viewer", "operator", False),
        ("operator", "admin", False),
        ("admin", "viewer", True),
    ],
)
async def test_roles_stand_above_each_other(ring, make, has, needs, opens):
    secret, _ = make(role=has)
    await ring.load()
    facts = await ring.open(secret, loopback=False)
    if opens:
        facts.require(needs)
        return
    with pytest.raises(Forbidden, match=needs):
        facts.require(needs)


async def test_refreshing_outlives_every_failure(database, clock, make):
    secret, row = make()
    make("beta")
    ring = Keyring(database, clock, refresh_seconds=0.005)
    await ring.load()
    await ring.open(secret, loopback=False)
    database.transact(lambda c: c.execute(text("UPDATE api_key SET role = 'king' WHERE tenant = 'beta'")))
    running = asyncio.ensure_future(ring.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    database.transact(lambda c: c.execute(text("UPDATE api_key SET role = 'viewer' WHERE tenant = 'beta'")))
    revoke(database, row)
    for _ in range(400):
        await asyncio.sleep(0.005)
        if digest_of(secret) not in ring._known:
            break
    with pytest.raises(Unauthenticated):
        await ring.open(secret, loopback=False)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_limit_is_known_with_its_key_and_after_the_next_refresh(ring, make, database, clock):
    secret, row = make(limit=KeyLimit(5, "day"))
    await ring.load()
    assert ring.limit_of(row.id) == KeyLimit(5, "day")
    assert limit_key(database, clock, row.id, KeyLimit(9, "total"))
    await ring.load()
    assert ring.limit_of(row.id) == KeyLimit(9, "total")
    revoke(database, row)
    await ring.load()
    # Its hosted runs go on, and are held to it.
    assert ring.limit_of(row.id) == KeyLimit(9, "total")
    assert not limit_key(database, clock, row.id, None)
    assert not limit_key(database, clock, "nobody", None)


async def test_a_limited_key_made_elsewhere_is_limited_at_its_first_call(ring, make):
    make()
    await ring.load()
    secret, row = make(limit=KeyLimit(5, "day"))
    await ring.open(secret, loopback=False)
    assert ring.limit_of(row.id) == KeyLimit(5, "day")


def test_a_limit_counts_what_the_key_spent_in_its_window(make, database, clock):
    _, row = make()
    today = clock.now()
    lines = [
        entry("a", 30, at=today - START, key=row.id),
        entry("b", 500, at=today - START - 86_400, key=row.id),
        entry("c", 7_000, at=today - START, key="other"),
    ]
    database.transact(lambda c: entries.insert_entries(c, lines))
    for window, spent in (("day", 30), ("total", 530), ("day", 30)):
        assert limit_key(database, clock, row.id, KeyLimit(100, window))
        id = key_meter(row.id, KeyLimit(100, window), today).id
        assert database.transact(lambda c, id=id: meters.settled(c, [id])) == {id: spent}


def test_a_limit_taken_away_and_set_again_counts_what_was_spent_between(make, database, clock):
    _, row = make()
    limit = KeyLimit(100, "total")
    limit_key(database, clock, row.id, limit)
    limit_key(database, clock, row.id, None)
    database.transact(
        lambda c: entries.insert_entries(c, [entry("a", 30, at=clock.now() - START, key=row.id)])
    )
    limit_key(database, clock, row.id, limit)
    (told,) = database.transact(lambda c: meters.meters(c))
    assert (told.settled, told.limit_amount) == (30, 100)
