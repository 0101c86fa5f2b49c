"""A store to look at: a million synthetic calls of thirty days, with all that stands beside calls in a busy house.

Written by the store's own functions, so that sums and runs are what they sum. A folder that is filled already is used
as it stands; its moment is when it was filled (`Filled.now`).
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from functools import partial
from pathlib import Path

import msgspec

from bench.console_calls import SEED, calls_of, drawn_runs, outcome_of
from bench.console_rest import fill_rest
from bench.whatif import CHUNK, keep
from trimtab.core import SystemClock
from trimtab.store import Database, migrate, traffic, url_of
from trimtab.tenants import create_key

SETTINGS = """
default_policy = "pinned"

[server]
data = "{data}"
database = "{database}"

[[endpoint]]
name = "near"
url = "http://127.0.0.1:9/v1"
models = ["small", "middle"]

[[endpoint]]
name = "edge"
url = "http://127.0.0.1:9/v1"
models = ["small", "middle", "large"]

[[endpoint]]
name = "far"
url = "http://127.0.0.1:9/v1"
models = ["large", "huge"]

[[model]]
name = "any"
candidates = ["small", "middle", "large"]
policy = "spread"

[policy.spread]
kind = "weighted"
weights = {{ small = 2.0, middle = 3.0, large = 5.0 }}

[policy.careful]
kind = "cascade"
verifiers = [{{ kind = "finish_reason" }}]

[[budget]]
scope = "tenant"
window = "day"
limit_usd = 100.0

[[budget]]
scope = "user"
window = "month"
limit_usd = 50.0

[[budget]]
scope = "run"
window = "run"
limit_usd = 1.0
"""


class Filled(msgspec.Struct, frozen=True):
    """A filled store: its calls and runs, the moment that is "now" in it, and an admin's key."""

    calls: int
    runs: int
    now: float
    key: str


def filled(folder: Path, count: int) -> Filled:
    """The SQLite store of a folder, filled with `count` calls where it is not there."""
    told = folder / "filled.json"
    if told.exists():
        return msgspec.json.decode(told.read_bytes(), type=Filled)
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(url_of("sqlite", folder))
    try:
        migrate(database)
        return _fill(database, count, told)
    finally:
        database.close()


def _fill(database: Database, count: int, told: Path) -> Filled:
    now = time.time()
    runs = drawn_runs(count, now)
    calls, began, done = (call for run in runs for call in calls_of(run)), time.monotonic(), 0
    outcomes = {(run.who.tenant, run.who.run): outcome_of(run) for run in runs if run.ends}
    while chunk := list(itertools.islice(calls, CHUNK)):
        seen = dict.fromkeys((record.call.who.tenant, record.call.who.run) for record, _ in chunk)
        said = [outcome for run in seen if (outcome := outcomes.pop(run, None))]
        database.transact(partial(keep, chunk, said))
        done += len(chunk)
        progress(f"{done:,} of {count:,} calls, {time.monotonic() - began:.0f} s")
    database.transact(partial(traffic.drop, before=int(now // 60) - traffic.KEPT_MINUTES))
    fill_rest(database, [run.who for run in runs], now, random.Random(SEED + 2))
    database.transact(lambda connection: connection.exec_driver_sql("ANALYZE"))
    key, _ = create_key(database, SystemClock(), "acme", "bench", "admin")
    made = Filled(count, len(runs), now, key)
    told.write_bytes(msgspec.json.encode(made))
    progress(f"{done:,} calls of {len(runs):,} runs in {time.monotonic() - began:.0f} s\n")
    return made


def progress(text: str) -> None:
    """Say how far it is, on one line."""
    print(f"\r{text}   ", end="", file=sys.stderr, flush=True)
