"""The proof: runs on one PostgreSQL over three workers, which are killed, frozen beyond their lease, cut off.

`stall` stops the whole database server for a while, as a disk that stands still would; fsync is off there, so
nothing here speaks of power cuts. At the end every run that was let in is done; no node ran again whose
result stood in the store; the ledger is never below what the endpoint billed, exact wherever the process
lived, and nothing is held.

TRIMTAB_STORM_RUNS=200 TRIMTAB_STORM_BLOWS=24 is what `make chaos` plays; with TRIMTAB_STORM_OUTAGE=30 the
database is away for 30 seconds each time.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict

import aiohttp
import psycopg

from .process import SOURCE, TESTS, Gateway
from .upstream import INPUT_USD, OUTPUT_USD

RUNS = int(os.environ.get("TRIMTAB_STORM_RUNS", "24"))
BLOWS = int(os.environ.get("TRIMTAB_STORM_BLOWS", "4"))
OUTAGE = float(os.environ.get("TRIMTAB_STORM_OUTAGE", "0"))
SEED = int(os.environ.get("TRIMTAB_STORM_SEED", "7"))
LEASE, GRACE, WIDTH = 2.0, 2.0, 4
NAMES = {"plan", "total", *(f"work {number}" for number in range(WIDTH))}
SETTINGS = """
[hosting]
lease_seconds = {lease}
most_recoveries = 100
runs = 16
drive = {drive}
[workflow.storm]
graph = "proofs.storm_graph:storm"
[[endpoint]]
name = "main"
url = "{url}"
models = ["small"]
price = {{ input = {input}, output = {output} }}
concurrency = 500
breaker = {{ failures = 1000000 }}
[[budget]]
scope = "tenant"
limit_usd = 1000.0
"""
# The store itself says when a node's result stood there.
WITNESS = """
CREATE TABLE witness (task text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO witness (task) VALUES (NEW.task); RETURN NEW; END $$;
CREATE TRIGGER seen AFTER INSERT ON workflow_write FOR EACH ROW EXECUTE FUNCTION see();
"""


class Worker(Gateway):
    """`trimtab worker` in place of a gateway: a process that only drives."""

    async def start(self, wait=True):
        self.starts += 1
        environ = os.environ | {"PYTHONPATH": f"{SOURCE}:{TESTS}"}
        with (self.folder / f"log.{self.starts}").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trimtab", "worker", "-c", str(self.config), "--port", str(self.port)],
                stdout=log, stderr=subprocess.STDOUT, env=environ,
            )  # fmt: skip
        if wait:
            await self.serving()
        return self


class Storm:
    """The workers, the door, the database, and what is done to them."""

    def __init__(self, server, url, workers, door, rng):
        self.server, self.url, self.workers, self.door, self.rng = server, url, workers, door, rng
        self.refused = 0
        self.late: list[float] = []
        self.blows: Counter[str] = Counter()

    async def order(self, session):
        """Ask for all runs, spread over the storm; what is refused is asked for again."""
        asked = 0
        while asked < RUNS:
            body = {"assistant_id": "storm", "input": {"log": []}, "on_completion": "keep"}
            async with session.post(f"{self.door.url}/runs", json=body) as answer:
                if answer.status == 200:
                    asked += 1
                else:
                    assert answer.status in (429, 503), await answer.text()
                    self.refused += 1
            await asyncio.sleep(self.rng.random() * 0.1)

    async def rage(self):
        """One blow after the other, each at a random moment; whoever was struck comes back."""
        kinds = ["kill", "freeze", "restart", "stall"]
        for blow in range(BLOWS):
            await asyncio.sleep(0.3 + self.rng.random())
            kind = kinds[blow] if blow < len(kinds) else self.rng.choice(kinds)
            self.blows[kind] += 1
            await getattr(self, kind)(self.rng.choice(self.workers))

    async def kill(self, worker):
        """Kill -9."""
        held = await self.held_by(worker)
        worker.kill()
        await self.taken_over(held)
        await worker.start()

    async def freeze(self, worker):
        """Stop it beyond its lease, then let it go on."""
        held = await self.held_by(worker)
        worker.pause()
        try:
            await self.taken_over(held)
            await asyncio.sleep(0.5)
        finally:
            worker.go_on()

    async def restart(self, _):
        """The database goes away and comes back."""
        await asyncio.to_thread(self.server.stop)
        await asyncio.sleep(OUTAGE or 0.5 + self.rng.random())
        await asyncio.to_thread(self.server.start)

    async def stall(self, _):
        """The whole database server stands still for a while, as with a disk that does."""
        self.server.freeze()
        await asyncio.sleep(0.2 + 0.8 * self.rng.random())
        self.server.thaw()

    async def held_by(self, worker):
        """The runs that a worker drives, with their claims."""
        query = (
            "SELECT r.id, r.claim FROM workflow_run r JOIN workflow_worker w ON w.id = r.owner"
            " WHERE r.state = 'running' AND w.pid = %s"
        )
        return dict(await self.ask(query, worker.process.pid))

    async def taken_over(self, held):
        """Wait until others go on with the runs; how long that took is noted."""
        began = time.monotonic()
        while held:
            query = "SELECT id, claim, state FROM workflow_run WHERE id = ANY(%s)"
            rows = await self.ask(query, list(held))
            for id in [id for id, claim, state in rows if claim > held[id] or state != "running"]:
                del held[id]
                self.late.append(time.monotonic() - began)
            assert time.monotonic() - began < 30, f"nobody goes on with {held}"
            await asyncio.sleep(0.02)

    async def ask(self, query, *values):
        def work():
            with psycopg.connect(self.url, autocommit=True) as connection:
                return connection.execute(query, values).fetchall()

        return await asyncio.to_thread(work)

    async def calm(self):
        """Wait until every run is over."""
        deadline = time.monotonic() + 120
        query = "SELECT id, state, owner FROM workflow_run WHERE state IN ('queued', 'running')"
        while left := await self.ask(query):
            assert time.monotonic() < deadline, f"not over: {left}"
            await asyncio.sleep(0.1)


async def test_no_storm_loses_a_run_or_runs_a_finished_node_again(
    own_postgres, upstream, tmp_path, monkeypatch
):
    effects = tmp_path / "effects"
    effects.touch()
    monkeypatch.setenv("EFFECTS", str(effects))
    url = own_postgres.database()
    facts = {"url": upstream.url, "input": INPUT_USD, "output": OUTPUT_USD, "lease": LEASE}
    door = Gateway(tmp_path, SETTINGS.format(drive="false", **facts), url, "door")
    workers = [
        Worker(tmp_path, SETTINGS.format(drive="true", **facts), url, f"worker{number}")
        for number in range(3)
    ]
    storm = Storm(own_postgres, url, workers, door, random.Random(SEED))
    try:
        await door.start()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(WITNESS)
        await asyncio.gather(*[worker.start() for worker in workers])
        async with aiohttp.ClientSession() as session:
            ordering = asyncio.create_task(storm.order(session))
            await storm.rage()
            await ordering
        await storm.calm()
        for process in (*workers, door):
            await process.stop()
        with door.books() as books:
            entries = books.entries()
            check_runs(books)
            assert books.table("hold") == []
            assert books.leased() == 0
        commits = await storm.ask("SELECT task, min(extract(epoch FROM at)) FROM witness GROUP BY task")
        again = check_effects(effects, {task: float(at) for task, at in commits})
        worst = check_bills(entries, upstream.bills)
    finally:
        for process in (*workers, door):
            process.kill()
    assert max(storm.late, default=0.0) <= LEASE + GRACE
    print(  # noqa: T201
        f"\n{RUNS} runs, {dict(storm.blows)}, {storm.refused} refused, {again} nodes in flight ran again, "
        f"{worst} calls charged as worst case, taken over after {max(storm.late, default=0):.2f} s at most "
        f"(lease {LEASE:g} s)"
    )


def check_runs(books):
    rows = [row for row in books.runs() if row.workflow == "storm"]
    assert len(rows) >= RUNS
    assert Counter(row.state for row in rows) == {"done": len(rows)}, [row.error for row in rows if row.error]
    for row in rows:
        assert sorted(json.loads(row.output)["log"]) == sorted(NAMES)


def check_effects(effects, committed):
    """No node began after its result stood in the store; every node ended, and the store saw a result of each.

    How many began more than once."""
    begun, ended = defaultdict(list), set()
    for line in effects.read_text().splitlines():
        at, what, key, name = line.split("\t")
        run, task, _ = key.split(":")
        if what == "begin":
            begun[run, task].append(float(at))
            assert float(at) <= committed.get(task, float("inf")), f"{name} of run {run} ran again"
        else:
            ended.add((run, task))
    assert set(begun) == ended
    assert {task for _, task in begun} <= committed.keys()
    return sum(len(times) > 1 for times in begun.values())


def check_bills(entries, bills):
    """Everything the endpoint generated is covered, to the nanodollar where the process lived to see it."""
    for bill in bills.values():
        line = entries.get(bill.id)
        assert line is not None, f"nobody charged {bill}"
        if line["certainty"] == "exact":
            assert line["nanodollars"] == bill.nanodollars
        else:
            assert line["nanodollars"] >= bill.nanodollars
    kinds = Counter(line["certainty"] for line in entries.values())
    assert kinds["exact"] >= RUNS * len(NAMES)
    return kinds["worst_case"]
