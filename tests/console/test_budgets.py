"""The page Budgets & keys: what is left, what is set, who may come in; a key's life from its making to its end."""

import re

import pytest

from console.visiting import page, words
from gateway.served import ask, endpoint
from trimtab.budgets import KeyLimit
from trimtab.config import load_text
from trimtab.console.limits import limits_of
from trimtab.store import audit, keys
from trimtab.store.schema import api_key, console_session
from trimtab.tenants import create_key

LIMITS = """
[[budget]]
scope = "tenant"
window = "day"
limit_usd = 5
name = "everybody's day"

[[budget]]
scope = "tenant"
limit_usd = 70
name = "globex-special"
match = { tenant = "globex" }

[[budget]]
scope = "user"
limit_usd = 3
name = "bob-of-somebody"
match = { user = "bob" }

[[rate]]
scope = "user"
requests_per_minute = 60

[[tenant]]
name = "acme"
tokens_per_minute = 9000

[[tenant]]
name = "globex"
weight = 3.0
"""
FORM = {"tenant": "acme", "role": "operator"}


def rows(served, table=api_key):
    return served.house.database.transact(lambda c: c.execute(table.select()).all())


def acts(served):
    return served.house.database.transact(lambda c: audit.latest(c, None, 50))


async def make(guest, **form):
    return await guest.act("/console/keys/create", FORM | form, "/console/budgets")


def secret_of(answer):
    return re.search(r"tt-[\w-]{43}", page(answer)).group()


async def spend(served, upstream, tenant):
    key = await served.key(tenant, "ada")
    assert (await served.post(ask(), headers={"authorization": f"Bearer {key}"})).status == 200
    await served.at_rest()


async def test_a_viewer_sees_budgets_and_limits_of_its_tenant_only(serve, upstream, guests):
    served = await serve(endpoint(upstream) + LIMITS)
    await spend(served, upstream, "acme")
    await spend(served, upstream, "globex")
    for role in ("viewer", "operator"):
        answer = await (await guests(served, role)).get("/console/budgets?tenant=globex")
        told = words(answer)
        assert answer.status == 200
        assert "everybody's day" in told
        assert "$5.00" in told
        assert "9,000 tokens a minute" in told
        for alien in ("globex", "bob", "$70", "trimtab.toml", "Make a key", "Revoke", "tt-"):
            assert alien not in told, alien


async def test_an_admin_sees_all_and_may_narrow_to_one(serve, upstream, guests):
    served = await serve(endpoint(upstream) + LIMITS)
    await spend(served, upstream, "acme")
    await spend(served, upstream, "globex")
    guest = await guests(served, "admin", "ops")
    told = words(await guest.get("/console/budgets"))
    for mine in ("globex-special", "bob-of-somebody", " line ", "acme", "weight 3"):
        assert mine in told
    narrowed = words(await guest.get("/console/budgets?tenant=acme"))
    assert "globex" not in narrowed
    assert "Revoke" in narrowed


def test_limits_are_in_the_order_of_the_file_with_whom_they_are_for():
    found = limits_of(load_text(LIMITS, "t.toml", {}), None)
    assert [(each.kind, each.line) for each in found] == [
        ("budget", 2), ("budget", 8), ("budget", 14), ("rate", 20), ("tenant", 24), ("tenant", 28),
    ]  # fmt: skip
    assert found[1].whom == ("tenant globex",)
    assert found[3].amounts == ("60 requests",)


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", ["create", "limit", "revoke"])
async def test_keys_are_for_admins(house, guests, role, path):
    guest = await guests(house, role)
    answer = await guest.act(f"/console/keys/{path}", FORM | {"id": rows(house)[0].id})
    assert answer.status == 403
    assert len(rows(house)) == 1
    assert rows(house)[0].revoked_at is None


async def test_a_form_without_its_token_makes_and_revokes_nothing(house, guests):
    guest = await guests(house, "admin")
    (mine,) = rows(house)
    for path, form in (("create", FORM), ("revoke", {"id": mine.id, "sure": mine.id})):
        assert (await guest.send(f"/console/keys/{path}", form)).status == 403
        assert (await guest.send(f"/console/keys/{path}", form | {"token": "0" * 64})).status == 403
    assert len(rows(house)) == 1
    assert rows(house)[0].revoked_at is None


async def test_a_new_key_is_shown_once_and_opens_what_it_says(house, guests):
    guest = await guests(house, "admin")
    made = await make(
        guest, user="bob", models="gpt-small, other", expires="30d", note="for <b>the</b> nightly job"
    )
    assert (made.status, made.headers["cache-control"]) == (200, "no-store")
    assert "location" not in made.headers
    secret = secret_of(made)
    row = keys_by_user(house, "bob")
    assert (row.tenant, row.role, row.models) == ("acme", "operator", "gpt-small\nother")
    assert row.expires_at == pytest.approx(house.clock.now() + 30 * 86_400, abs=60)
    bearer = {"authorization": f"Bearer {secret}"}
    assert (await house.post(ask(), headers=bearer)).status == 200
    assert (await house.post(ask("gpt-large"), headers=bearer)).status in (403, 404)
    for path in ("", "/budgets", "/settings", "/runs"):
        shown = page(await guest.get(f"/console{path}"))
        assert secret not in shown
        assert "<b>the</b>" not in shown
    everything = "".join(str(rows(house, table)) for table in (api_key, console_session)) + str(acts(house))
    assert secret not in everything
    (act,) = acts(house)
    assert (act.by, act.action, act.subject, act.tenant) == ("ada", "make a key", row.id, "acme")


def keys_by_user(served, user):
    (row,) = [row for row in rows(served) if row.user == user]
    return row


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"tenant": " "}, "tenant is missing"),
        ({"role": "king"}, "role is one of viewer, operator, admin"),
        ({"expires": "yesterday"}, "is no time"),
        ({"expires": "2001-01-01"}, "lies in the past"),
        ({"expires": "9999999999d"}, "beyond the year 9999"),
        ({"expires": "9" * 400 + "d"}, "beyond the year 9999"),
        ({"tenant": "a" * 201}, "at most 200 characters"),
        ({"user": "a\nb"}, "user is one line"),
        ({"models": ",".join(["m"] * 101)}, "at most 100 names"),
        ({"limit_usd": "much"}, "a limit is USD as in 2.50"),
        ({"limit_usd": "1", "window": "year"}, "window is day, month, total"),
    ],
)
async def test_what_makes_no_key_is_told(house, guests, form, said):
    guest = await guests(house, "admin")
    answer = await make(guest, **form)
    assert (answer.status, said in words(answer)) == (400, True), words(answer)
    assert len(rows(house)) == 1


async def test_the_first_key_must_be_an_admins_and_locks_the_console(house, guests):
    guest = await guests(house)
    assert "option selected>admin" in page(await guest.get("/console/budgets"))
    refused = await make(guest, role="operator")
    assert (refused.status, "the first key must have the role admin" in words(refused)) == (400, True)
    assert not rows(house)
    made = await make(guest, role="admin", tenant="ops")
    assert made.status == 200
    assert 'href="/console/sign-in"' in page(made)
    assert "Anybody on this machine" not in words(made)
    again = await guest.get("/console/budgets")
    assert (again.status, again.headers["location"][:16]) == (303, "/console/sign-in")
    signed_in = await (await guests(house)).sign_in(secret_of(made))
    assert (await signed_in.get("/console/budgets")).status == 200
    (act,) = acts(house)
    assert (act.action, act.tenant, secret_of(made) in str(act)) == ("make a key", "ops", False)


async def test_where_a_key_was_made_meanwhile_the_open_console_makes_no_other(house, guests):
    guest = await guests(house)
    form = {"tenant": "x", "role": "admin", "token": await guest.token("/console/budgets")}
    # As another process does: this one has not noticed yet.
    create_key(house.house.database, house.clock, "acme", "", "admin")
    answer = await guest.send("/console/keys/create", form)
    assert answer.status == 401
    assert len(rows(house)) == 1


async def test_a_revoked_key_opens_nothing_and_its_browsers_are_signed_out(house, guests):
    guest = await guests(house, "admin")
    secret = secret_of(await make(guest, user="bob"))
    bob = await (await guests(house)).sign_in(secret)
    id = keys_by_user(house, "bob").id
    answer = await guest.act("/console/keys/revoke", {"id": id}, "/console/budgets")
    assert (answer.status, answer.headers["location"]) == (303, "/console/budgets")
    assert (await bob.get("/console")).status == 303
    assert [row.key for row in rows(house, console_session)] != [id]
    assert id not in [row.key for row in rows(house, console_session)]
    assert (await house.post(ask(), headers={"authorization": f"Bearer {secret}"})).status == 401
    again = await guest.act("/console/keys/revoke", {"id": id}, "/console/budgets")
    assert (again.status, "no good key" in words(again)) == (404, True)
    assert [act.action for act in acts(house)] == ["revoke a key", "make a key"]
    assert "revoked" in words(await guest.get("/console/budgets"))


async def test_ones_own_key_is_revoked_only_where_that_is_said(house, guests):
    guest = await guests(house, "admin")
    (mine,) = rows(house)
    assert "yes, mine" in words(await guest.get("/console/budgets"))
    answer = await guest.act("/console/keys/revoke", {"id": mine.id}, "/console/budgets")
    assert (answer.status, "the key you are signed in with" in words(answer)) == (400, True)
    assert rows(house)[0].revoked_at is None
    done = await guest.act("/console/keys/revoke", {"id": mine.id, "sure": mine.id}, "/console/budgets")
    assert done.status == 303
    assert (await guest.get("/console/budgets")).status == 303


async def test_keys_are_paged_newest_first_and_the_page_stays_light(house, guests):
    guest = await guests(house, "admin")
    first = rows(house)[0]
    for number in range(70):
        row = keys.KeyRow(
            id=f"zz{number:03}", digest=f"d{number}", hint=f"tt-hint{number:03}", tenant="acme", user="u" * 40,
            role="viewer", models=("m" * 40,) * 9, note="n" * 500, created_at=1.0,
            expires_at=1e300 if number == 69 else 2.0,
        )  # fmt: skip
        house.house.database.transact(lambda c, row=row: keys.add(c, row))
    answer = await guest.get("/console/budgets")
    shown = re.findall(r"tt-hint(\d+)…</td>", page(answer))
    assert shown == [f"{number:03}" for number in range(69, 19, -1)]
    assert len(answer.body) < 150_000
    assert "beyond the calendar" in words(answer)
    further = re.search(r'href="([^"]+)" rel="next"', page(answer)).group(1).replace("&amp;", "&")
    last = await guest.get(further)
    assert len(re.findall(r"tt-hint(\d+)…</td>", page(last))) == 20
    assert first.hint in page(last)


async def test_a_key_is_limited_and_the_page_tells_what_it_spent(house, guests):
    guest = await guests(house, "admin")
    secret = secret_of(await make(guest, user="bob", limit_usd="0.5", window="day"))
    bob = keys_by_user(house, "bob").id
    assert (await house.post(ask(), headers={"authorization": f"Bearer {secret}"})).status == 200
    await house.at_rest()
    shown = words(await guest.get(f"/console/keys/limit?id={bob}"))
    assert "$0.5 a day" in shown
    assert re.search(r"Spent in it\s+\$0\.0\d+", shown), shown
    assert "key limit/day" in words(await guest.get("/console/budgets"))
    form = {"id": bob, "limit_usd": "0", "window": "total"}
    done = await guest.act("/console/keys/limit", form, "/console/budgets")
    assert (done.status, done.headers["location"]) == (303, "/console/budgets")
    told = words(await guest.get("/console/budgets"))
    assert "$0 in all" in told
    assert "key limit/total" in told
    assert (await house.post(ask(), headers={"authorization": f"Bearer {secret}"})).status == 402
    # What does not hold any more is not shown as a budget.
    assert "key limit/day" not in told
    await guest.act("/console/keys/limit", {"id": bob, "limit_usd": "", "window": "day"}, "/console/budgets")
    assert "key limit" not in words(await guest.get("/console/budgets"))
    assert (await house.post(ask(), headers={"authorization": f"Bearer {secret}"})).status == 200
    assert [(act.action, act.subject, act.detail) for act in acts(house)[:2]] == [
        ("limit a key", bob, "none"),
        ("limit a key", bob, "$0 in all"),
    ]


async def test_a_tenants_budgets_tell_its_keys_limits_and_no_others(house, guests):
    for tenant in ("acme", "globex"):
        secret, row = create_key(
            house.house.database, house.clock, tenant, "", "operator", limit=KeyLimit(10**9, "total")
        )
        await house.house.keyring.load()
        assert (await house.post(ask(), headers={"authorization": f"Bearer {secret}"})).status == 200
        if tenant == "globex":
            alien = row.id
    await house.at_rest()
    shown = words(await (await guests(house, "viewer")).get("/console/budgets"))
    assert "key limit/total" in shown
    assert alien not in shown


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"limit_usd": "-1"}, 400, "a limit is USD as in 2.50"),
        ({"window": "run"}, 400, "window is day, month, total"),
        ({"id": "nobody"}, 404, "no good key"),
    ],
)
async def test_what_limits_no_key_is_told(house, guests, form, status, said):
    guest = await guests(house, "admin")
    (mine,) = rows(house)
    whole = {"id": mine.id, "limit_usd": "1", "window": "day"} | form
    answer = await guest.act("/console/keys/limit", whole, "/console/budgets")
    assert (answer.status, said in words(answer)) == (status, True), words(answer)
    assert rows(house)[0].limit_nanodollars is None
    del whole[next(iter(form))]
    if "id" not in form:
        answer = await guest.act("/console/keys/limit", whole, "/console/budgets")
        assert (answer.status, "is missing" in words(answer)) == (400, True)
    assert (await guest.get("/console/keys/limit?id=nobody")).status == 404


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_limits_of_keys_are_shown_to_admins(house, guests, role):
    guest = await guests(house, role)
    assert (await guest.get(f"/console/keys/limit?id={rows(house)[0].id}")).status == 403


async def test_a_tenant_sees_no_budget_of_one_that_is_written_alike(serve, upstream, guests):
    served = await serve(endpoint(upstream) + LIMITS)
    await spend(served, upstream, "ACME")
    told = words(await (await guests(served, "viewer")).get("/console/budgets"))
    assert "ACME" not in told
    assert "No call has drawn on a budget" in told
