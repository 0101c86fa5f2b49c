"""A real vLLM behind a real gateway: its load is scraped, priority heeded, adapters loaded, prefixes found."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest

from gateway.served import ask

LONG = "the quick brown fox jumps over the lazy dog " * 30


@pytest.fixture(autouse=True)
def without_adapters(engine):
    """Every test finds none loaded."""
    yield
    for name in engine.adapters:
        body = json.dumps({"lora_name": name}).encode()
        asked = urllib.request.Request(
            f"{engine.url}/unload_lora_adapter", body, {"content-type": "application/json"}
        )
        try:
            urllib.request.urlopen(asked, timeout=20).close()
        except urllib.error.HTTPError as error:
            error.close()


def house_toml(engine, adapters=("lora-a", "lora-b"), slots=2):
    paths = ", ".join(f'{name} = "{engine.adapters[name]}"' for name in adapters)
    models = ", ".join(f'"{name}"' for name in ("tiny", *adapters))
    return (
        f'[[endpoint]]\nname = "real"\nurl = "{engine.url}"\nmodels = [{models}]\nretries = 0\n'
        f'engine = "vllm"\nscrape_seconds = 0.5\npass_on = ["priority", "request_id"]\n'
        f"adapters = {{ {paths} }}\nadapter_slots = {slots}\nload_seconds = 0.2\n"
        # The engine computes on the very cores the gateway runs on.
        "timeouts = { connect = 30 }\n"
    )


def said(model="tiny", text="search the docs for a socket", tokens=8, **members):
    return ask(model, text, temperature=0, ignore_eos=True, max_completion_tokens=tokens, **members)


async def told(served, model="tiny", **members):
    answer = await served.post(said(model, **members))
    assert answer.status == 200, answer.body
    return answer.json


async def eventually(condition, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


def gauge(page, name, **labels):
    """The value of one sample, None where there is none."""
    for line in page.splitlines():
        if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    return None


async def metrics(served):
    return (await served.get("/metrics")).body.decode()


async def test_a_call_goes_through_and_its_prefix_is_found_the_next_time(engine, serve):
    served = await serve(house_toml(engine))
    first = await told(served, text=LONG)
    again = await told(served, text=LONG)
    cached = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert first["usage"]["prompt_tokens"] - cached < 2 * 128
    assert cached > 0

    async def share_shows():
        return (gauge(await metrics(served), "trimtab_engine_prefix_share") or 0.0) > 0

    await eventually(share_shows)
    entries = await served.entries()
    assert [row.cached_tokens for row in entries if row.cached_tokens] == [cached]


async def test_its_load_shows_on_our_metrics(engine, serve):
    served = await serve(house_toml(engine))
    seen = asyncio.Event()

    async def keep_busy(number):
        while not seen.is_set():
            await told(served, tokens=100, text=f"{number} {LONG}")

    async def queue_shows():
        page = await metrics(served)
        running = gauge(page, "trimtab_engine_running", endpoint="real")
        waiting = gauge(page, "trimtab_engine_waiting", endpoint="real")
        return bool(running) and bool(waiting) and gauge(page, "trimtab_engine_up") == 1.0

    busy = [asyncio.ensure_future(keep_busy(number)) for number in range(4)]
    try:
        await eventually(queue_shows)
    finally:
        seen.set()
        await asyncio.gather(*busy)
    latest = served.house.engines.scraper.latest("real")
    assert latest is not None
    assert latest.kv_used is not None


async def test_the_more_urgent_call_is_served_before_those_that_came_earlier(engine, serve):
    served = await serve(house_toml(engine))
    done = []

    async def one(name, priority, tokens):
        body = json.dumps(said(text=name, tokens=tokens)).encode()
        answer = await served.post(body, headers={"x-trimtab-priority": str(priority)})
        assert answer.status == 200, answer.body
        done.append(name)

    busy = [asyncio.ensure_future(one(f"first {n}", 9, 1800)) for n in range(4)]
    await asyncio.sleep(0.3)
    late = [asyncio.ensure_future(one(f"calm {n}", 0, 20)) for n in range(3)]
    await asyncio.sleep(0.3)
    assert len(done) < len(busy), "the first calls were over too soon to show an order"
    urgent = asyncio.ensure_future(one("urgent", 5, 20))
    await asyncio.gather(urgent, *busy, *late)
    assert [name.split()[0] for name in done] == ["first"] * 4 + ["urgent"] + ["calm"] * 3


async def test_an_adapter_is_loaded_for_its_first_call_and_speaks_otherwise(engine, serve):
    served = await serve(house_toml(engine))
    plain = await told(served)
    for name in ("lora-a", "lora-b"):
        adapted = await told(served, name)
        assert adapted["model"] == name
        assert adapted["choices"][0]["message"]["content"] != plain["choices"][0]["message"]["content"]
    assert served.house.engines.residence.adapters("real") == {"lora-a", "lora-b"}

    async def adapters_show():
        page = await metrics(served)
        return all(
            gauge(page, "trimtab_engine_adapter", adapter=name) == 1.0 for name in ("lora-a", "lora-b")
        )

    await eventually(adapters_show)
    assert gauge(await metrics(served), "trimtab_engine_loads_total", at="real") is not None


async def test_with_one_place_the_second_adapter_waits_until_the_first_has_paid_for_its_load(engine, serve):
    served = await serve(house_toml(engine, slots=1))
    residence, now = served.house.engines.residence, asyncio.get_running_loop().time
    await told(served, "lora-a")
    assert residence.adapters("real") == {"lora-a"}
    began = now()
    await told(served, "lora-b")
    assert residence.adapters("real") == {"lora-b"}
    assert now() - began > 0.5
    assert residence.loads == {"real": 2}
