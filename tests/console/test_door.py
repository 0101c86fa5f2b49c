"""The front door: cookies for keys, roles, tokens on forms, headers on everything, nothing for strangers."""

import asyncio
import re

import pytest

from console.visiting import page, words
from gateway.served import endpoint
from trimtab.store import sessions
from trimtab.store.schema import console_session

PAGES = ("/console", "/console/runs", "/console/inbox")


async def test_without_keys_this_machine_looks_in_under_a_banner(house, guests):
    guest = await guests(house)
    answer = await guest.get("/console")
    assert answer.status == 200
    assert "Anybody on this machine sees and does everything here" in words(answer)


async def test_without_keys_a_page_reached_under_a_strangers_name_is_refused(house, guests):
    guest = await guests(house)
    answer = await guest.get("/console", host="rebound.example:80")
    assert answer.status == 401
    assert "only loopback is served" in words(answer)
    assert (await guest.get("/console", origin="https://evil.example")).status == 401


@pytest.mark.parametrize("path", PAGES)
async def test_with_keys_a_stranger_is_sent_to_sign_in_and_on_from_there(house, guests, path):
    guest = await guests(house)
    key = await house.key("acme", "ada", "viewer")
    answer = await guest.get(path)
    assert answer.status == 303
    form = answer.headers["location"]
    assert "API key" in page(await guest.get(form))
    signed_in = await guest.send(form, {"key": key})
    assert (signed_in.status, signed_in.headers["location"]) == (303, path)
    assert (await guest.get(path)).status == 200


async def test_the_cookie_is_for_the_browser_alone_and_the_store_knows_its_digest_only(house, guests):
    guest = await guests(house)
    answer = await guest.send("/console/sign-in", {"key": await house.key("acme", "ada")})
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Path=/console", "Max-Age=43200"):
        assert part in cookie
    value = re.match(r"trimtab_console=([^;]+)", cookie).group(1)
    stored = house.house.database.transact(lambda c: c.execute(console_session.select()).one())
    assert value not in str(stored)
    secure = await guest.send(
        "/console/sign-in", {"key": await house.key("acme", "x")}, **{"x-forwarded-proto": "https"}
    )
    assert "Secure" in secure.headers["set-cookie"]


async def test_a_wrong_key_is_told_so_and_gets_no_cookie(house, guests):
    await house.key()
    answer = await (await guests(house)).send("/console/sign-in", {"key": "tt-wrong"})
    assert answer.status == 401
    assert "unknown or revoked API key" in words(answer)
    assert "set-cookie" not in answer.headers


async def test_sign_in_leads_to_pages_of_the_console_only(house, guests):
    key = await house.key()
    for elsewhere in ("https://evil.example", "//evil.example", "/v1/models", "/consoleevil"):
        guest = await guests(house)
        answer = await guest.send(f"/console/sign-in?next={elsewhere}", {"key": key})
        assert answer.headers["location"] == "/console"


async def test_signing_out_ends_the_session_on_every_process(house, guests):
    guest = await guests(house, "viewer")
    answer = await guest.act("/console/sign-out", {})
    assert answer.status == 303
    assert house.house.database.transact(lambda c: c.execute(console_session.select()).all()) == []
    assert (await guest.get("/console")).status == 303


async def test_a_session_ends_after_twelve_hours(house, guests):
    guest = await guests(house, "viewer")
    house.clock.ahead += 12 * 3_600 + 1
    assert (await guest.get("/console")).status == 303


async def test_a_revoked_key_ends_its_sessions(house, guests):
    from trimtab.store import keys

    guest = await guests(house, "admin")
    assert (await guest.get("/console")).status == 200
    (row,) = house.house.database.transact(keys.everyone)
    house.house.database.transact(lambda c: keys.revoke(c, row.id, 1.0))
    await house.house.keyring.load()
    assert (await guest.get("/console")).status == 303


async def test_sessions_of_a_key_are_ended_together(house, guests):
    guest = await guests(house, "viewer")
    row = house.house.database.transact(lambda c: c.execute(console_session.select()).one())
    house.house.database.transact(lambda c: sessions.end_of_key(c, row.key))
    assert (await guest.get("/console")).status == 303


async def test_a_form_without_its_token_or_from_another_site_does_nothing(house, guests):
    guest = await guests(house, "admin")
    other = await guests(house, "admin", user="bob")
    for form in ({}, {"token": "0" * 64}, {"token": await other.token()}):
        answer = await guest.send("/console/sign-out", form)
        assert (answer.status, "stale or not ours" in words(answer)) == (403, True)
    token = await guest.token()
    answer = await guest.send("/console/sign-out", {"token": token}, origin="https://evil.example")
    assert (answer.status, "another site" in words(answer)) == (403, True)
    assert (await guest.get("/console")).status == 200


async def test_in_the_open_console_forms_need_their_token_too(house, guests):
    guest = await guests(house)
    await guest.get("/console")
    answer = await guest.send("/console/run/cancel", {"tenant": "default", "id": "x"})
    assert answer.status == 403


async def test_another_sites_form_cannot_sign_a_browser_in(house, guests):
    key = await house.key()
    answer = await (await guests(house)).send("/console/sign-in", {"key": key}, origin="https://evil.example")
    assert answer.status == 403


@pytest.mark.parametrize(
    "path", [*PAGES, "/console/sign-in", "/console/nothing-here", "/console/static/console.js"]
)
async def test_every_answer_keeps_foreign_scripts_and_frames_out(house, guests, path):
    guest = await guests(house, "admin")
    answer = await guest.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_are_not_kept_by_browsers_and_files_are(house, guests):
    guest = await guests(house, "admin")
    assert (await guest.get("/console")).headers["cache-control"] == "no-store"
    assert "immutable" in (await guest.get("/console/static/console.css")).headers["cache-control"]
    assert (await guest.get("/console/static/../door.py")).status == 404
    assert (await guest.get("/console/static/door.py")).status == 404


async def test_a_path_that_leads_nowhere_says_so_on_a_page(house, guests):
    answer = await (await guests(house, "viewer")).get("/console/nothing-here")
    assert answer.status == 404
    assert "there is nothing at /console/nothing-here" in words(answer)


async def test_a_store_that_is_away_is_said_on_the_page(serve, upstream, guests, monkeypatch):
    from trimtab.core.errors import StoreUnavailable

    served = await serve(endpoint(upstream))
    guest = await guests(served)

    def away(work):
        raise StoreUnavailable("the line is down")

    monkeypatch.setattr(served.house.database, "read", away)
    answer = await guest.get("/console/runs")
    assert (answer.status, "the line is down" in words(answer)) == (503, True)


async def test_a_form_that_is_too_large_is_refused(house, guests):
    guest = await guests(house, "viewer")
    answer = await guest.act("/console/sign-out", {"more": "x" * (1 << 20)})
    assert answer.status == 413


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "localhost.evil.example", ""])
async def test_hosts_that_cannot_be_read_are_nobodys(house, guests, host):
    answer = await (await guests(house)).get("/console", host=host)
    assert answer.status == 401


@pytest.mark.parametrize("origin", ["http://[", "null", "://"])
async def test_origins_that_cannot_be_read_are_foreign(house, guests, origin):
    key = await house.key()
    answer = await (await guests(house)).send("/console/sign-in", {"key": key}, origin=origin)
    assert answer.status == 403


async def test_a_token_that_is_no_plain_text_is_refused(house, guests):
    guest = await guests(house, "viewer")
    assert (await guest.send("/console/sign-out", {"token": "é" * 64})).status == 403


async def test_a_slash_too_many_leads_to_the_console(house, guests):
    answer = await (await guests(house, "viewer")).get("/console/")
    assert (answer.status, answer.headers["location"]) == (307, "/console")


@pytest.mark.parametrize("ends", ["sign-out", "revoked"])
async def test_a_live_page_ends_with_its_session_and_its_key(house, guests, ends):
    from trimtab.store import keys

    guest = await guests(house, "viewer")
    async with guest.session.get(f"{guest.url}/console/live/now") as stream:
        await stream.content.readuntil(b"\n\n")
        if ends == "revoked":
            (row,) = house.house.database.transact(keys.everyone)
            house.house.database.transact(lambda c: keys.revoke(c, row.id, 1.0))
            await house.house.keyring.load()
        else:
            await guest.act("/console/sign-out", {})
        async with asyncio.timeout(8):
            assert not stream.content.at_eof()
            while await stream.content.readline():
                pass


async def test_a_live_page_does_not_hold_up_the_end_of_the_process(house, guests):
    guest = await guests(house)
    async with guest.session.get(f"{guest.url}/console/live/now") as stream:
        await stream.content.readuntil(b"\n\n")
        house.house.draining = True
        async with asyncio.timeout(5):
            while await stream.content.readline():
                pass
