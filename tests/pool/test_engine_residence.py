"""Adapters and models come into memory when a call needs them, and leave when their place is worth more to others."""

import asyncio

import pytest

from trimtab.config import load_text
from trimtab.core.errors import UpstreamError
from trimtab.pool import Endpoint
from trimtab.pool.engines import EngineDoor, EngineReport, Residence

from .engine_house import fake_engine
from .test_engine_scraper import Clock

ADAPTERS = 'adapters = { sum = "/lora/sum", sql = "/lora/sql", code = "/lora/code" }\nload_seconds = 0.1\n'


def endpoint_at(url, name="main", engine="vllm", more=ADAPTERS):
    text = f'[[endpoint]]\nname = "{name}"\nurl = "{url}"\nmodels = ["base", "sum", "sql", "code"]\n'
    settings = load_text(f'{text}engine = "{engine}"\n{more}', "t.toml", {}).settings
    return Endpoint(settings.endpoint[0], "", Clock(), 8)


@pytest.fixture
async def engine():
    async with fake_engine() as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def residence_of(clock):
    door = EngineDoor()
    yield lambda *endpoints: Residence(door, {one.name: one for one in endpoints}, clock)
    await door.close()


async def call(endpoint, model="base", seconds=5.0):
    """A call that is over as soon as it has what it needs."""
    (await endpoint.ready(model, seconds))()


def loads(engine):
    return [(path.rsplit("/")[-1], body["lora_name"]) for path, body in engine.posts]


async def test_the_first_call_loads_its_adapter_and_the_next_finds_it_there(engine, residence_of):
    endpoint = endpoint_at(engine.url)
    residence = residence_of(endpoint)
    assert not residence.has("main", "sum")
    await call(endpoint, "sum")
    await call(endpoint, "sum")
    assert engine.posts == [("/v1/load_lora_adapter", {"lora_name": "sum", "lora_path": "/lora/sum"})]
    assert residence.has("main", "sum")
    assert residence.adapters("main") == {"sum"}


async def test_the_base_model_needs_nothing(engine, residence_of):
    endpoint = endpoint_at(engine.url)
    residence_of(endpoint)
    await call(endpoint, "base")
    assert engine.posts == []


async def test_calls_that_come_at_once_load_once(engine, residence_of):
    engine.load_seconds = 0.05
    endpoint = endpoint_at(engine.url)
    residence_of(endpoint)
    await asyncio.gather(*(call(endpoint, "sum") for _ in range(8)))
    assert loads(engine) == [("load_lora_adapter", "sum")]


async def test_beyond_its_places_one_leaves_but_not_before_it_has_paid_for_its_load(
    engine, residence_of, clock
):
    endpoint = endpoint_at(engine.url)
    residence_of(endpoint)
    await call(endpoint, "sum")
    with pytest.raises(UpstreamError, match=r"sql was not loaded at endpoint main within 0\.1 s"):
        await call(endpoint, "sql", 0.1)
    clock.time += 10.0
    await call(endpoint, "sql")
    assert loads(engine) == [
        ("load_lora_adapter", "sum"),
        ("unload_lora_adapter", "sum"),
        ("load_lora_adapter", "sql"),
    ]
    assert engine.loaded == {"sql"}


async def test_sglang_has_its_own_paths(engine, residence_of, clock):
    endpoint = endpoint_at(engine.url, engine="sglang")
    residence_of(endpoint)
    await call(endpoint, "sum")
    clock.time += 10.0
    await call(endpoint, "sql")
    assert [path for path, _ in engine.posts] == [
        "/load_lora_adapter",
        "/unload_lora_adapter",
        "/load_lora_adapter",
    ]


async def test_an_adapter_somebody_else_loaded_is_loaded(engine, residence_of):
    engine.refuses["/v1/load_lora_adapter"] = "The lora adapter 'sum' has already been loaded."
    endpoint = endpoint_at(engine.url)
    residence = residence_of(endpoint)
    await call(endpoint, "sum")
    assert residence.has("main", "sum")


async def test_a_refused_load_fails_the_attempt_and_holds_no_place(engine, residence_of):
    engine.refuses["/v1/load_lora_adapter"] = "No adapter found for /lora/sum"
    endpoint = endpoint_at(engine.url)
    residence = residence_of(endpoint)
    with pytest.raises(UpstreamError, match="No adapter found"):
        await call(endpoint, "sum")
    del engine.refuses["/v1/load_lora_adapter"]
    await call(endpoint, "sql")
    assert residence.adapters("main") == {"sql"}


async def test_an_engine_that_cannot_load_says_how_to_start_it(engine, residence_of):
    engine.missing.add("/v1/load_lora_adapter")
    endpoint = endpoint_at(engine.url)
    residence_of(endpoint)
    with pytest.raises(UpstreamError, match=r"load_lora_adapter: answered 404.*docs/vllm\.md"):
        await call(endpoint, "sum")


async def test_what_the_engine_reports_is_believed(engine, residence_of, clock):
    residence = residence_of(endpoint_at(engine.url))
    residence.heed("main", EngineReport(clock.time + 1, adapters=frozenset({"sql", "stranger"})))
    assert residence.adapters("main") == {"sql"}
    residence.heed("main", EngineReport(clock.time + 2, adapters=frozenset()))
    assert residence.adapters("main") == frozenset()


async def test_a_report_older_than_our_last_load_is_not(engine, residence_of, clock):
    endpoint = endpoint_at(engine.url)
    residence = residence_of(endpoint)
    asked_at = clock.time
    clock.time += 1.0
    await call(endpoint, "sum")
    residence.heed("main", EngineReport(asked_at, adapters=frozenset()))
    assert residence.has("main", "sum")


async def test_calls_go_where_their_adapter_is(engine, residence_of, clock):
    first, second = endpoint_at(engine.url, "first"), endpoint_at(engine.url, "second")
    residence = residence_of(first, second)
    names = ["first", "second"]
    assert residence.among("sum", names) == names
    residence.heed("second", EngineReport(clock.time, adapters=frozenset({"sum"})))
    assert residence.among("sum", names) == ["second"]
    assert residence.among("base", names) == names


async def test_a_second_copy_is_offered_when_waiting_for_the_first_costs_more_than_the_load(
    engine, residence_of, clock
):
    first, second = endpoint_at(engine.url, "first"), endpoint_at(engine.url, "second")
    residence = residence_of(first, second)
    residence.heed("second", EngineReport(clock.time, adapters=frozenset({"sum"})))
    second.in_flight = second.share * 4
    assert residence.among("sum", ["first", "second"]) == ["first", "second"]


async def test_ollama_loads_and_unloads_whole_models(engine, residence_of, clock):
    endpoint = endpoint_at(engine.url, engine="ollama", more="model_slots = 1\nload_seconds = 0.1\n")
    residence_of(endpoint)
    await call(endpoint, "sum")
    clock.time += 10.0
    await call(endpoint, "sql")
    assert engine.posts == [
        ("/api/generate", {"model": "sum", "keep_alive": -1, "stream": False}),
        ("/api/generate", {"model": "sum", "keep_alive": 0, "stream": False}),
        ("/api/generate", {"model": "sql", "keep_alive": -1, "stream": False}),
    ]


async def test_of_two_vllm_on_one_gpu_one_sleeps_and_never_while_it_works(residence_of, clock):
    async with fake_engine() as big, fake_engine() as small:
        more = 'shares = "gpu0"\nload_seconds = 0.1\n'
        first, second = endpoint_at(big.url, "big", more=more), endpoint_at(small.url, "small", more=more)
        residence = residence_of(first, second)
        over = await first.ready("base", 5.0)
        assert big.posts == [("/wake_up", {})]
        clock.time += 10.0
        with pytest.raises(UpstreamError):
            await call(second, "base", 0.1)
        assert residence.has("big", "base")
        over()
        await call(second, "base")
        assert [path for path, _ in big.posts] == ["/wake_up", "/sleep"]
        assert small.posts == [("/wake_up", {})]
        assert residence.loads == {"gpu0": 2}


async def test_an_adapter_in_constant_use_ends_its_calls_and_makes_room(engine, residence_of, clock):
    endpoint = endpoint_at(engine.url)
    residence = residence_of(endpoint)
    over = await endpoint.ready("sum", 5.0)
    clock.time += 10.0
    waits = asyncio.ensure_future(call(endpoint, "sql"))
    await asyncio.sleep(0.02)
    assert not residence.has("main", "sum")
    again = asyncio.ensure_future(endpoint.ready("sum", 5.0))
    await asyncio.sleep(0.02)
    assert not waits.done()
    assert not again.done()
    over()
    await waits
    assert engine.loaded == {"sql"}
    clock.time += 10.0
    (await again)()
    assert engine.loaded == {"sum"}


async def test_a_vllm_that_says_it_sleeps_is_woken_again(engine, residence_of, clock):
    endpoint = endpoint_at(engine.url, more='shares = "gpu0"\n')
    residence = residence_of(endpoint)
    residence.heed("main", EngineReport(clock.time))
    assert residence.has("main", "base")
    residence.heed("main", EngineReport(clock.time + 1, asleep=True))
    await call(endpoint, "base")
    assert engine.posts == [("/wake_up", {})]
