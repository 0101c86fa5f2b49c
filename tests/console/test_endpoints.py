"""The page Endpoints: how each stands, what its hour came to, what its engine says, what it asks."""

import asyncio
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from console.visiting import page, words
from gateway.served import ask, endpoint
from gateway.upstream import Says, refuses
from pool.engine_house import fake_engine
from trimtab.config import load_text
from trimtab.console import Premises, Reader, Sheets
from trimtab.console.endpoints import EndpointsPage
from trimtab.console.visitor import Visitor
from trimtab.core import IdSource
from trimtab.tenants import LOCAL

SECRET = "hunter2-hunter2-hunter2"
VLLM = (
    b"vllm:num_requests_running 3\nvllm:num_requests_waiting 7\nvllm:kv_cache_usage_perc 0.25\n"
    b"vllm:prefix_cache_queries_total 100\nvllm:prefix_cache_hits_total 60\n"
)


def row_of(answer, name):
    """The cells of the first row that has this word in it."""
    rows = [row.split("</tr>")[0] for row in page(answer).split("<tr>")]
    (row, *_) = [row for row in rows if f">{name}</a>" in row or f">{name}</td>" in row]
    return words(type(answer)(200, {}, row.encode())).split()


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_endpoints_are_for_admins(house, guests, role):
    guest = await guests(house, role)
    assert (await guest.get("/console/endpoints")).status == 403
    assert "/console/endpoints" not in page(await guest.get("/console"))


async def test_an_endpoint_shows_how_it_stands_and_what_its_hour_came_to(house, upstream, guests):
    guest = await guests(house, "admin")
    upstream.then(Says(usage={"prompt_tokens_details": {"cached_tokens": 3}}), refuses(400))
    for streamed in (True, False):
        await house.post(ask(stream=streamed), headers={"authorization": f"Bearer {await house.key()}"})
    await house.at_rest()
    await house.house.writer.flush()
    house.clock.ahead += 61
    answer = await guest.get("/console/endpoints")
    stands = row_of(answer, "main")
    assert {"in", "use", "openai", "gpt-small", upstream.url} <= set(stands)
    assert stands.count("–") == 0  # it has answered: its times are known
    hour = words(answer).split("The last hour")[1].split("Prices")[0].split()
    assert hour[hour.index("main") + 1 : hour.index("main") + 5] == ["2", "1", "50.0", "%"]
    assert 'href="/console/costs?endpoint=main"' in page(answer)


async def test_an_endpoint_that_fails_is_shown_as_left_alone(serve, upstream, guests):
    served = await serve(endpoint(upstream, more="breaker = { failures = 1 }\n"))
    guest = await guests(served)
    assert "in use" in words(await guest.get("/console/endpoints"))
    upstream.then(refuses(500))
    assert (await served.post(ask())).status == 502
    assert "left alone" in words(await guest.get("/console/endpoints"))
    served.clock.ahead += 3_600
    assert "to be tried" in words(await guest.get("/console/endpoints"))


async def test_before_the_first_reply_no_time_is_made_up(house, guests):
    stands = row_of(await (await guests(house)).get("/console/endpoints"), "main")
    assert stands[-3:] == ["–", "–", "–"]


async def test_prices_are_shown_for_a_million_tokens_and_say_where_they_are_from(serve, upstream, guests):
    unpriced = endpoint(
        upstream, "own", '"no-such-model-anywhere"', "price = { input = 0.15, output = 0.6 }\n"
    )
    machine = f'[[endpoint]]\nname = "gpu"\nurl = "{upstream.url}"\nmodels = ["m"]\ngpu_hour_usd = 2.5\n'
    nobody = f'[[endpoint]]\nname = "lost"\nurl = "{upstream.url}"\nmodels = ["x"]\n'
    answer = await (await guests(await serve(unpriced + machine + nobody))).get("/console/endpoints")
    prices = words(answer).split("Prices")[1]
    assert "$0.150" in prices
    assert "$0.600" in prices
    assert "$2.50" in prices
    assert "not known" in prices


async def test_what_an_engine_says_is_shown(serve, guests):
    async with fake_engine() as engine:
        engine.pages["/metrics"] = VLLM
        served = await serve(
            f'[[endpoint]]\nname = "gpu"\nurl = "{engine.url}"\nmodels = ["base"]\nengine = "vllm"\n'
            "scrape_seconds = 0.05\n"
        )
        guest = await guests(served)
        async with asyncio.timeout(5):
            while "ago" not in (told := words(await guest.get("/console/endpoints")).split("Engines")[1]):
                await asyncio.sleep(0.02)
        assert "25.0 %" in told
        assert "60.0 %" in told
        assert told.split("ago")[1].split()[:2] == ["3", "7"]


async def test_no_secret_of_an_endpoint_is_on_any_page(serve, upstream, guests):
    more = (
        f'api_key_env = "UPSTREAM_KEY"\nheaders = {{ x-team = "{SECRET}" }}\nengine = "vllm"\nscrape_seconds = 0\n'
        f'metrics_url = "http://ada:{SECRET}@127.0.0.1:9/metrics?token={SECRET}"\n'
    )
    served = await serve(endpoint(upstream, more=more), UPSTREAM_KEY=SECRET)
    guest = await guests(served, "admin")
    upstream.then(refuses(401, f"wrong key {SECRET}"))
    await served.post(ask(), headers={"authorization": f"Bearer {await served.key()}"})
    for path in ("endpoints", "settings", "settings?set=1", "budgets", "controllers", "runs", ""):
        answer = await guest.get(f"/console/{path}".rstrip("/"))
        assert (answer.status, SECRET in page(answer)) == (200, False), path


async def test_names_of_endpoints_and_models_are_inert(serve, upstream, guests):
    evil = "<script>alert(1)</script>"
    answer = await (await guests(await serve(endpoint(upstream, evil, f'"{evil}"')))).get(
        "/console/endpoints"
    )
    assert "<script>alert" not in page(answer)
    assert evil in words(answer).replace("  ", "") or "&lt;script&gt;alert(1)" in page(answer)


async def test_an_endpoint_that_left_the_settings_keeps_its_hour(serve, upstream, guests):
    first = await serve(endpoint(upstream, "before"))
    await first.post(ask())
    await first.at_rest()
    await first.close()
    served = await serve(endpoint(upstream, "after"))
    served.clock.ahead += 61
    told = words(await (await guests(served)).get("/console/endpoints"))
    assert "before" in told
    assert "not in the settings" in told


async def test_a_process_that_serves_no_calls_shows_what_settings_and_store_know(house, upstream):
    loaded = load_text(endpoint(upstream), "trimtab.toml", {})
    reader = Reader(house.house.database)
    premises = Premises(
        loaded=loaded,
        database=house.house.database,
        clock=house.clock,
        ids=IdSource(),
        keyring=house.house.keyring,
        reader=reader,
        sheets=Sheets(),
        fresh=house.house.writer.flush,
        closing=lambda: False,
        controllers=Path("nowhere"),
    )
    visitor = Visitor(LOCAL, "0" * 64, True, "/console/endpoints", QueryParams(""))
    answer = await EndpointsPage(premises).shown(visitor)
    reader.close()
    said = answer.body.decode()
    assert "serves no calls" in said
    assert "gpt-small" in said
    assert "in use" not in said
    assert "$1.00" in said
