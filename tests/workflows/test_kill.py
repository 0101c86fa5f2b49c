"""Processes that die or stop in the middle of a fan-out: others go on with their runs, finished nodes ran once."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import trimtab
from gateway.served import endpoint
from trimtab.app import open_house
from trimtab.config import load
from trimtab.store import Database, schema, url_of, workflow_schema

SETTINGS = """
[server]
data = "{data}"
database = "{database}"
[hosting]
lease_seconds = 1.0
{endpoint}
[workflow.work]
graph = "workflows.own_graphs:fan_out"
"""
TESTS, SOURCE = Path(__file__).parents[1], Path(trimtab.__file__).parents[1]
BEFORE = ["plan", *(f"work {number}" for number in range(5))]


@pytest.fixture
def settings(tmp_path, upstream, monkeypatch):
    """Writes settings for a database; effects are noted in a file beside them."""
    monkeypatch.setenv("EFFECTS", str(tmp_path / "effects"))
    monkeypatch.setenv("SLOW", "0")
    (tmp_path / "effects").touch()

    def write(database):
        path = tmp_path / "trimtab.toml"
        path.write_text(SETTINGS.format(data=tmp_path, database=database, endpoint=endpoint(upstream)))
        return path

    return write


async def driven(config, tmp_path):
    """A process that drives a run, once all but one node of its fan-out have ended; the run's id."""
    environ = os.environ | {"PYTHONPATH": f"{SOURCE}:{TESTS}", "SLOW": "600"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trimtab", "run", "work", "--input", '{"log": []}', "-c", str(config)],
            stdout=log, stderr=log, env=environ,
        )  # fmt: skip
    try:
        wanted = {f"end {name}" for name in BEFORE} | {"begin work 5"}
        deadline = time.monotonic() + 60
        while not wanted <= set(effects(tmp_path)):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        # An end is noted in the node; the store knows of it a commit later.
        while not tasks_before(tmp_path) <= tasks_in_store(config):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        return process, (tmp_path / "log").read_text().split()[1]
    except BaseException:
        process.kill()
        raise


def effects(tmp_path):
    return (tmp_path / "effects").read_text().splitlines()


def tasks_before(tmp_path):
    """The tasks of all nodes but the last of the fan-out, as their keys name them."""
    keys = dict(line.split(": ") for line in effects(tmp_path) if line.startswith("key"))
    return {keys[f"key {name}"].split(":")[1] for name in BEFORE}


def tasks_in_store(config):
    server = load(config, {}).settings.server
    return {row["task"] for row in table(url_of(server.database, Path(server.data)), workflow_schema.write)}


async def gone_on(config, run):
    """The run after a house that takes over has gone on with it."""
    async with open_house(load(config, {})) as house:
        house.workflows.take_runs()
        async with asyncio.timeout(20):
            while (row := await house.workflows.find(run)).state == "running":
                await asyncio.sleep(0.05)
        return row


def check(row, tmp_path, starts):
    """Every node ended once; only the one that was in flight began as often as it was driven."""
    assert (row.state, row.error) == ("done", "")
    assert sorted(json.loads(row.output)["log"]) == sorted([*BEFORE, "work 5", "gather"])
    begun = Counter(line for line in effects(tmp_path) if line.startswith("begin"))
    assert begun == Counter({f"begin {name}": 1 for name in [*BEFORE, "gather"]} | {"begin work 5": starts})
    keys = [line.split(": ") for line in effects(tmp_path) if line.startswith("key")]
    # One key for each node, also for the one that was driven twice.
    assert len({key for _, key in keys}) == len({name for name, _ in keys}) == len(begun)
    assert all(key.startswith(f"{row.id}:") for _, key in keys)
    ended = Counter(line for line in effects(tmp_path) if line.startswith("end"))
    assert set(ended.values()) == {1}


async def test_a_run_of_a_killed_process_goes_on_without_a_finished_node_again(settings, tmp_path, upstream):
    config = settings("sqlite")
    process, run = await driven(config, tmp_path)
    process.kill()
    process.wait()
    row = await gone_on(config, run)
    assert (row.claim, row.recoveries) == (2, 1)
    check(row, tmp_path, starts=2)
    lines = entries(url_of("sqlite", tmp_path))
    assert Counter(line["step"] for line in lines) == {"plan": 1, "work": 7, "gather": 1}
    assert {line["run"] for line in lines} == {run}
    assert len(lines) == len(upstream.seen)


async def test_a_process_that_wakes_up_after_its_lease_changes_nothing_any_more(settings, tmp_path, postgres):
    database = postgres.database()
    config = settings(database)
    process, run = await driven(config, tmp_path)
    process.send_signal(signal.SIGSTOP)
    try:
        row = await gone_on(config, run)
        check(row, tmp_path, starts=2)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 20)
    finally:
        process.kill()
        process.wait()
    assert f"run {run} is another worker's by now" in (tmp_path / "log").read_text()
    check(row, tmp_path, starts=2)
    (kept,) = table(url_of(database, tmp_path), workflow_schema.run)
    assert (kept["state"], kept["claim"], kept["output"]) == ("done", 2, row.output)


def entries(url):
    return table(url, schema.entry)


def table(url, which):
    from sqlalchemy import select

    database = Database(url)
    try:
        return [dict(row) for row in database.read(lambda c: c.execute(select(which)).mappings().all())]
    finally:
        database.close()
