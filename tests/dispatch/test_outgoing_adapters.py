"""Calls for an adapter go to the endpoint that has it in memory, whichever stands first in the settings."""

import asyncio

from gateway.served import ask
from pool.engine_house import fake_engine

PAGE = b"vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n"


def at(engine, name):
    return (
        f'[[endpoint]]\nname = "{name}"\nurl = "{engine.url}"\nmodels = ["base", "sum"]\nengine = "vllm"\n'
        f'scrape_seconds = 0.05\nadapters = {{ sum = "/lora/sum" }}\n'
    )


def calls(engine):
    return [body["model"] for path, body in engine.posts if path.endswith("/chat/completions")]


async def test_calls_follow_the_adapter(serve):
    async with fake_engine() as first, fake_engine() as second:
        first.pages["/metrics"] = second.pages["/metrics"] = PAGE
        second.loaded.add("sum")
        served = await serve(at(first, "first") + at(second, "second"))
        engines = served.house.engines
        async with asyncio.timeout(5):
            while engines.residence.adapters("second") != {"sum"}:
                await asyncio.sleep(0.01)
        for model in ("sum", "base", "sum"):
            assert (await served.post(ask(model))).status == 200
        assert calls(second) == ["sum", "sum"]
        assert calls(first) == ["base"]
        page = (await served.get("/metrics")).body.decode()
        assert 'trimtab_engine_adapter{adapter="sum",endpoint="second"} 1.0' in page
