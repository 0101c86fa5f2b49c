"""One contender of `bench.workflows` in a process of its own: prints what it did as JSON.

`python -m bench.workflow_contenders CONTENDER STORE CONCURRENT SECONDS`; STORE is `sqlite` or a PostgreSQL URL.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Run = Callable[[], Awaitable[object]]
_WARM_RUNS = 5
_QUEUED = 60
_CALLS = 400
_QUIET_RUNS = 60
_CROWD = 10_000
_ENDPOINT = '[[endpoint]]\nname = "main"\nurl = "http://127.0.0.1:9/v1"\nmodels = ["small"]\n'
_ROOM = '[[tenant]]\nname = "*"\nmax_runs = 1000\n'


@asynccontextmanager
async def langgraph(store: str, folder: Path) -> AsyncIterator[Run]:
    """LangGraph with its own saver, `durability="sync"`: one for all on SQLite, one a run from a pool on PostgreSQL."""
    from bench.workflow_steps import five

    graph = five()
    if store == "sqlite":
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:
            await saver.setup()
            compiled = graph.compile(checkpointer=saver)
            yield lambda: compiled.ainvoke({"log": []}, _thread(), durability="sync")
        return
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    how: Any = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(store, min_size=4, max_size=16, kwargs=how) as pool:
        await AsyncPostgresSaver(pool).setup()

        async def run() -> object:
            compiled = graph.compile(checkpointer=AsyncPostgresSaver(pool))
            return await compiled.ainvoke({"log": []}, _thread(), durability="sync")

        yield run


def _thread() -> Any:
    return {"configurable": {"thread_id": str(uuid.uuid4())}}


@asynccontextmanager
async def dbos(store: str, folder: Path) -> AsyncIterator[Run]:
    """A plain DBOS workflow of five steps."""
    from dbos import DBOS

    url = f"sqlite:///{folder / 'dbos.sqlite'}" if store == "sqlite" else store
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "enable_otlp": False})

    @DBOS.step()
    async def step(number: int) -> int:
        return number

    @DBOS.workflow()
    async def five() -> list[int]:
        return [await step(number) for number in range(5)]

    DBOS.launch()

    async def run() -> object:
        return await (await DBOS.start_workflow_async(five)).get_result()

    yield run
    await asyncio.to_thread(DBOS.destroy)


@asynccontextmanager
async def trimtab(store: str, folder: Path) -> AsyncIterator[Run]:
    """Hosted: admission, thread, fence, ledger, journal, as `trimtab serve` has them."""
    from trimtab.workflows import Order

    async with _house(store, folder, "five") as house:
        host = house.workflows

        async def run() -> object:
            row = await host.wait((await host.start(Order("bench", b'{"log": []}'))).id)
            assert row.state == "done", row.error
            return row

        yield run


@asynccontextmanager
async def _house(store: str, folder: Path, graph: str, more: str = "") -> AsyncIterator[Any]:
    from trimtab.app import open_house
    from trimtab.config import load_text

    text = f"""
[server]
data = "{folder}"
database = "{store}"
{more or _ENDPOINT + _ROOM}
[workflow.bench]
graph = "bench.workflow_steps:{graph}"
"""
    async with open_house(load_text(text, "bench.toml", {})) as house:
        house.workflows.take_runs()
        yield house


CONTENDERS = {"langgraph": langgraph, "dbos": dbos, "trimtab": trimtab}


async def throughput(contender: str, store: str, concurrent: int, seconds: float) -> dict[str, float]:
    """Runs a second, CPU a run, and the median run."""
    with tempfile.TemporaryDirectory() as folder:
        async with CONTENDERS[contender](store, Path(folder)) as run:
            for _ in range(_WARM_RUNS):
                await run()
            took: list[float] = []
            end = time.perf_counter() + seconds

            async def client() -> None:
                while time.perf_counter() < end:
                    begin = time.perf_counter()
                    await run()
                    took.append(time.perf_counter() - begin)

            begin, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*[client() for _ in range(concurrent)])
            passed, used = time.perf_counter() - begin, time.process_time() - cpu
    p50 = 1e3 * statistics.median(took)
    return {"runs_s": len(took) / passed, "cpu_ms": 1e3 * used / len(took), "p50_ms": p50}


async def queueing(store: str) -> dict[str, float]:
    """From asking for a run that may wait to its first node: ours."""
    from bench.workflow_steps import begun
    from trimtab.workflows import Order

    with tempfile.TemporaryDirectory() as folder:
        async with _house(store, Path(folder), "five") as house:
            asked = {}
            for number in range(_QUEUED):
                name = str(number)
                asked[name] = time.perf_counter()
                given = json.dumps({"log": [], "name": name}).encode()
                row = await house.workflows.start(Order("bench", given, waits=True))
                await house.workflows.wait(row.id)
                await asyncio.sleep(0.01)
    waited = [begun[name] - at for name, at in asked.items()]
    return {"queue_p50_ms": 1e3 * statistics.median(waited)}


async def dbos_queueing(store: str) -> dict[str, float]:
    """The same through DBOS's queue as it comes."""
    from dbos import DBOS

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'dbos.sqlite'}" if store == "sqlite" else store
        DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "enable_otlp": False})
        begun: dict[int, float] = {}

        @DBOS.workflow()
        async def five(number: int) -> None:
            begun[number] = time.perf_counter()

        DBOS.launch()
        queue = await DBOS.register_queue_async("bench")
        asked = {}
        for number in range(_QUEUED // 4):
            asked[number] = time.perf_counter()
            handle = await queue.enqueue_async(five, number)
            await handle.get_result(polling_interval_sec=0.01)
        await asyncio.to_thread(DBOS.destroy)
    return {"queue_p50_ms": 1e3 * statistics.median([begun[number] - at for number, at in asked.items()])}


async def neighbours(store: str) -> dict[str, float]:
    """The p95 of a tenant's runs alone, and beside one that offers fifty times as many as it may have."""
    limits = "".join(
        f'[[tenant]]\nname = "{name}"\nmax_runs = 8\nmax_queued_runs = 16\n' for name in ("loud", "quiet")
    )
    with tempfile.TemporaryDirectory() as folder:
        async with _house(store, Path(folder), "slow", f"{_ENDPOINT}[hosting]\nruns = 16\n{limits}") as house:
            await _quiet_p95(house, 5)
            alone = await _quiet_p95(house, _QUIET_RUNS)
            heard: dict[str, int] = {"taken": 0, "refused": 0, "else": 0}
            noise = [asyncio.create_task(_loud(house, heard)) for _ in range(50)]
            beside = await _quiet_p95(house, _QUIET_RUNS)
            for task in noise:
                task.cancel()
            await asyncio.gather(*noise, return_exceptions=True)
            await house.workflows.drain(5)
    return {"alone_p95_ms": alone, "beside_p95_ms": beside, **heard}


async def _quiet_p95(house: Any, runs: int) -> float:
    from trimtab.workflows import Order

    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        row = await house.workflows.start(Order("bench", b'{"log": []}', tenant="quiet"))
        await house.workflows.wait(row.id)
        took.append(1e3 * (time.perf_counter() - begin))
        await asyncio.sleep(0.01)
    return statistics.quantiles(took, n=20)[-1]


async def _loud(house: Any, heard: dict[str, int]) -> None:
    from trimtab.core.errors import QueueFull
    from trimtab.workflows import Order

    while True:
        try:
            await house.workflows.start(Order("bench", b'{"log": []}', tenant="loud"))
            heard["taken"] += 1
        except QueueFull:
            heard["refused"] += 1
        except Exception:
            heard["else"] += 1
        await asyncio.sleep(0.05)


async def crowd(store: str) -> dict[str, float]:
    """Ten thousand runs in the queue that nobody may drive yet: memory, how long a page takes, what the next hears."""
    import psutil

    from trimtab.core.errors import QueueFull
    from trimtab.store import workflow_runs
    from trimtab.workflows import Order

    room = f'[[tenant]]\nname = "*"\nmax_queued_runs = {_CROWD}\n'
    process, refused = psutil.Process(), 0
    with tempfile.TemporaryDirectory() as folder:
        async with _house(store, Path(folder), "five", _ENDPOINT + room) as house:
            host, order = house.workflows, Order("bench", b'{"log": []}', waits=True, begin_at=4e9)
            before = process.memory_info().rss
            begin = time.perf_counter()
            for _ in range(_CROWD // 50):
                await asyncio.gather(*[host.start(order) for _ in range(50)])
            filled = time.perf_counter() - begin
            grown = process.memory_info().rss - before
            for _ in range(20):
                try:
                    await host.start(order)
                except QueueFull:
                    refused += 1
            took, last, seen = [], "", 0
            while seen < _CROWD:
                at = time.perf_counter()
                rows = await house.database.run(
                    lambda c, last=last: workflow_runs.page(c, "default", before=last, limit=100)
                )
                took.append(1e3 * (time.perf_counter() - at))
                last, seen = rows[-1].id, seen + len(rows)
    return {
        "asked_s": _CROWD / filled,
        "grown_mib": grown / 2**20,
        "page_p95_ms": statistics.quantiles(took, n=20)[-1],
        "refused_of_20": refused,
    }


async def calling(store: str) -> dict[str, float]:
    """A call of the OpenAI SDK in a node, through dispatch, beside the same over the same endpoint's bare socket."""
    os.environ["CALLS"] = str(_CALLS)
    with tempfile.TemporaryDirectory() as folder:
        async with _stand_in() as url:
            more = f'[[endpoint]]\nname = "main"\nurl = "{url}"\nmodels = ["small"]\n'
            from trimtab.workflows import Order

            async with _house(store, Path(folder), "calling", more) as house:
                row = await house.workflows.wait(
                    (await house.workflows.start(Order("bench", b'{"log": []}'))).id
                )
                assert row.state == "done", row.error
                ours = [took / 1e6 for took in json.loads(row.output)["log"]]
            bare = await _bare(url)
    return {"call_p50_ms": statistics.median(ours), "bare_p50_ms": bare}


@asynccontextmanager
async def _stand_in() -> AsyncIterator[str]:
    """An endpoint that answers at once."""
    from aiohttp import web

    from bench.body import reply_body

    body = reply_body("small")

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"  # type: ignore[union-attr]
    await runner.cleanup()


async def _bare(url: str) -> float:
    from openai import AsyncOpenAI

    sdk, took = AsyncOpenAI(base_url=url, api_key="none"), []
    ask: Any = {"model": "small", "max_tokens": 8, "messages": [{"role": "user", "content": "Hello?"}]}
    for _ in range(_CALLS):
        begin = time.perf_counter()
        await sdk.chat.completions.create(**ask)
        took.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(took)


def main() -> None:
    """One measurement."""
    import uvloop

    what, store, *rest = sys.argv[1:]
    if what in CONTENDERS:
        found = uvloop.run(throughput(what, store, int(rest[0]), float(rest[1])))
    else:
        found = uvloop.run(
            {
                "queue": queueing,
                "dbos-queue": dbos_queueing,
                "call": calling,
                "neighbours": neighbours,
                "crowd": crowd,
            }[what](store)
        )
    print(json.dumps(found), flush=True)
    # DBOS's threads outlive it.
    os._exit(0)


if __name__ == "__main__":
    main()
