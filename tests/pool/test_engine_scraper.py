"""Engines are asked beside the calls: bounded in time, and a silent one leaves its last report to age."""

import asyncio

import pytest

from trimtab.config import load_text
from trimtab.core.errors import UpstreamError
from trimtab.pool import Endpoint
from trimtab.pool.engines import EngineDoor, Scraper

from .engine_house import fake_engine

PAGE = b"vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"


class Clock:
    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


def endpoint_at(url, more="", engine="vllm", secret=""):
    text = f'[[endpoint]]\nname = "main"\nurl = "{url}"\nmodels = ["base", "sum", "sql"]\n'
    settings = load_text(f'{text}engine = "{engine}"\n{more}', "t.toml", {}).settings
    return Endpoint(settings.endpoint[0], secret, Clock(), 8)


@pytest.fixture
async def engine():
    async with fake_engine() as made:
        made.pages["/metrics"] = PAGE
        yield made


@pytest.fixture
async def scraper_for():
    doors = []

    def make(endpoint, clock=None):
        doors.append(EngineDoor())
        return Scraper(doors[-1], {endpoint.name: endpoint}, clock or Clock(), lambda: 0.5)

    yield make
    for door in doors:
        await door.close()


async def test_a_report_is_what_the_engine_says(engine, scraper_for):
    scraper = scraper_for(endpoint_at(engine.url))
    report = await scraper.scrape("main")
    assert (report.running, report.waiting, report.kv_used) == (2, 1, 0.5)
    assert scraper.fresh("main") is report
    assert engine.asked == ["/metrics"]


async def test_a_report_is_stale_after_three_intervals(engine, scraper_for):
    clock = Clock()
    scraper = scraper_for(endpoint_at(engine.url, "scrape_seconds = 2.0"), clock)
    report = await scraper.scrape("main")
    clock.time += 6.0
    assert scraper.fresh("main") is report
    clock.time += 0.1
    assert scraper.fresh("main") is None
    assert scraper.latest("main") is report


async def test_a_silent_engine_is_left_after_a_bounded_time_and_its_report_stays(engine, scraper_for):
    scraper = scraper_for(endpoint_at(engine.url, "scrape_seconds = 0.2"))
    report = await scraper.scrape("main")
    engine.silent = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamError, match=r"no answer within 1 s"):
        await scraper.scrape("main")
    assert asyncio.get_running_loop().time() - began < 2.0
    assert scraper.latest("main") is report


async def test_the_loop_goes_on_past_failures_and_says_why(engine, scraper_for):
    engine.pages["/metrics"] = b"up 1\n"
    scraper = scraper_for(endpoint_at(engine.url, "scrape_seconds = 0.01"))
    running = asyncio.ensure_future(scraper.run())
    while "main" not in scraper.failures:
        await asyncio.sleep(0.01)
    assert "does not speak as vllm does" in scraper.failures["main"]
    engine.pages["/metrics"] = PAGE
    while scraper.latest("main") is None or scraper.failures:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_without_an_engine_or_an_interval_nobody_is_asked(scraper_for):
    scraper = scraper_for(endpoint_at("http://127.0.0.1:1/v1", "scrape_seconds = 0"))
    await scraper.run()
    assert scraper.names == ()


async def test_our_key_goes_to_the_endpoint_and_to_nobody_else(engine, scraper_for):
    await scraper_for(endpoint_at(engine.url, secret="s3cret")).scrape("main")
    assert engine.headers[0]["authorization"] == "Bearer s3cret"
    async with fake_engine() as other:
        other.pages["/m"] = PAGE
        url = other.url.removesuffix("/v1") + "/m"
        await scraper_for(endpoint_at(engine.url, f'metrics_url = "{url}"', secret="s3cret")).scrape("main")
        assert "authorization" not in other.headers[0]


async def test_sglang_is_not_asked_for_metrics_where_it_has_loads(engine, scraper_for):
    engine.pages["/v1/loads"] = {"loads": [{"num_running_reqs": 1}]}
    assert (await scraper_for(endpoint_at(engine.url, engine="sglang")).scrape("main")).running == 1
    assert engine.asked == ["/v1/loads"]
    del engine.pages["/v1/loads"]
    engine.pages["/metrics"] = b"sglang:num_running_reqs 3\n"
    assert (await scraper_for(endpoint_at(engine.url, engine="sglang")).scrape("main")).running == 3


async def test_a_page_that_is_needed_and_missing_is_named(engine, scraper_for):
    del engine.pages["/metrics"]
    with pytest.raises(UpstreamError, match="has no http://127.0.0.1:.*/metrics"):
        await scraper_for(endpoint_at(engine.url)).scrape("main")
