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


async def test_the_first_call_loads_its_adapter_and_a_second_one_finds_it(serve):
    async with fake_engine() as engine:
        engine.pages["/metrics"] = PAGE
        served = await serve(at(engine, "first"))
        for _ in range(2):
            assert (await served.post(ask("sum"))).status == 200
        loads = [path for path, _ in engine.posts if "lora" in path]
        assert loads == ["/v1/load_lora_adapter"]
        assert served.house.engines.residence.loads == {"first": 1}


async def test_a_load_that_is_refused_is_no_fault_of_the_client_and_costs_nothing(serve):
    async with fake_engine() as engine:
        engine.pages["/metrics"] = PAGE
        engine.refuses["/v1/load_lora_adapter"] = "rank is too large"
        served = await serve(at(engine, "first") + "retries = 0\n")
        answer = await served.post(ask("sum"))
        assert answer.status == 502
        assert "rank is too large" in answer.error["message"]
        assert not calls(engine)
        assert not [row.nanodollars for row in await served.entries() if row.nanodollars]
