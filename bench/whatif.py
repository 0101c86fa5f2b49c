"""How long `trimtab whatif` takes over a million recorded calls, and where its assumed ranges of tokens come from.

    python -m bench.whatif [--calls 1000000] [--store FOLDER] [--profile]
    python -m bench.whatif --ratios

The store is real (SQLite, the tables of `trimtab serve`, decisions with three offers, attempts, entries, runs); the
calls in it are synthetic, drawn with a seed. CPU seconds of one process, memory at its highest. `--ratios` reads
`$TRIMTAB_DATA/tau2_traces` (default `../shared/data`). Prints Markdown.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import itertools
import json
import os
import pstats
import random
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from trimtab.app.policies import policies_of
from trimtab.config import load_text, prices_of
from trimtab.core import (
    AttemptRecord,
    Attribution,
    Call,
    CallRecord,
    Decision,
    Entry,
    IdSource,
    OutcomeRecord,
    SystemClock,
    Usage,
)
from trimtab.pool import Pool
from trimtab.routing import sticky_unit
from trimtab.simulation.whatif import Replay, Trial, markdown, report_of
from trimtab.store import Database, Selection, calls, entries, migrate, runs, sums, url_of
from trimtab.traces import completed_at

SEED = 7
START = 1_790_000_000.0
CALLS_A_RUN = 8
CHUNK = 20_000
GOAL_SECONDS = 60.0
RECORDED = """
default_policy = "{policy}"

[[endpoint]]
name = "near"
url = "http://10.0.0.1/v1"
models = ["small", "middle"]

[[endpoint]]
name = "far"
url = "http://10.0.0.2/v1"
models = ["large"]

[[model]]
name = "small"
quality = 0.4
context_tokens = 128000
price = {{ input = 0.15, cached = 0.075, output = 0.6 }}

[[model]]
name = "middle"
quality = 0.7
context_tokens = 128000
price = {{ input = {middle}, cached = 0.2, output = 1.6 }}

[[model]]
name = "large"
quality = 0.9
context_tokens = 200000
price = {{ input = 2.5, cached = 1.25, output = 10.0 }}

[[model]]
name = "any"
candidates = ["small", "middle", "large"]

[[rule]]
name = "plans need the large model"
when = "step == 'plan' && tokens > 2000"
models = ["large"]
policy = "pinned"

[policy.spread]
kind = "weighted"
weights = {{ small = 2.0, middle = 3.0, large = 5.0 }}

[[budget]]
scope = "tenant"
window = "day"
limit_usd = {limit}

[[budget]]
scope = "run"
window = "run"
limit_usd = 1.0
"""
WAS = RECORDED.format(policy="spread", middle=0.4, limit=100000.0)
NEW = RECORDED.format(policy="cheapest", middle=0.5, limit=400.0)
STEPS = ("plan", "search", "act", "check", "answer")


def synthetic(count: int) -> Iterator[tuple[CallRecord, Entry]]:
    """Calls of many runs at once, in time order, routed by the recorded settings' own policy."""
    settings = load_text(WAS, "recorded.toml", {}).settings
    pool = Pool(settings, {}, prices_of(settings), SystemClock())
    policy = policies_of(settings)["spread"]
    draw, ids = random.Random(SEED), IdSource()
    for number in range(count):
        at = START + number * 0.1
        run = number % 512 + 512 * (number // (512 * CALLS_A_RUN))
        step = STEPS[(number // 512) % len(STEPS)]
        tenant = f"tenant-{run % 20}"
        who = Attribution(
            tenant, f"run-{run}", f"user-{run % 997}", "key", "desk", step, task=f"task-{run % 5000}"
        )
        sent, told = draw.randrange(400, 40_000), draw.randrange(20, 900)
        call = Call(ids.new(at), at, "chat", "any", who, sent, 1024)
        offers = pool.offers(call, ("small", "middle", "large"))
        unit = sticky_unit(who.run, "spread")
        plan = policy.choose(call, offers, unit)
        first = plan.attempts[0]
        offer = next(o for o in offers if (o.endpoint, o.model) == (first.endpoint, first.model))
        usage = Usage(sent // 4, told, cached_tokens=sent // 8)
        cost, seconds = offer.price.cost(usage), 0.4 + told * draw.uniform(0.005, 0.02)
        attempt = AttemptRecord(
            ids.new(at), first.endpoint, first.model, at, seconds, 0.3, "answered", 200, "", cost, usage
        )
        record = CallRecord(
            call, "ok", seconds, 0.3, model=first.model, endpoint=first.endpoint, usage=usage, nanodollars=cost,
            decision=Decision("spread", call, offers, unit, plan), attempts=(attempt,),
        )  # fmt: skip
        yield record, entry_of(attempt, record)


def entry_of(attempt: AttemptRecord, record: CallRecord) -> Entry:
    """The ledger line of an attempt that was charged exactly."""
    who = record.call.who
    return Entry(
        attempt.id, record.call.id, attempt.at + attempt.seconds, who.tenant, who.run, who.user, who.workflow,
        who.step, who.key, "model", attempt.endpoint, attempt.model, attempt.nanodollars, "exact", attempt.usage,
    )  # fmt: skip


def keep(
    chunk: Sequence[tuple[CallRecord, Entry | None]], said: list[OutcomeRecord], connection: Connection
) -> None:
    """Rows of one chunk."""
    records = [record for record, _ in chunk]
    calls.insert_calls(connection, records)
    lines = [entry for _, entry in chunk if entry is not None]
    entries.insert_entries(connection, lines)
    sums.add(connection, records, lines)
    runs.record_outcomes(connection, said)


def fill(database: Database, count: int) -> None:
    """Write the synthetic calls, as the writer would."""
    draw = random.Random(SEED + 1)
    made = synthetic(count)
    while chunk := list(itertools.islice(made, CHUNK)):
        seen = dict.fromkeys((record.call.who.tenant, record.call.who.run) for record, _ in chunk)
        said = [OutcomeRecord(*run, START, float(draw.random() < 0.8)) for run in seen]

        database.transact(partial(keep, chunk, said))


def measure(folder: Path, count: int, *, profiled: bool) -> None:
    """Replay the store under the new settings and tell what it took."""
    was, new = load_text(WAS, "recorded.toml", {}).settings, load_text(NEW, "new.toml", {}).settings
    database = Database(url_of("sqlite", folder))
    trial = Trial(new, was, policies_of(new), prices_of(new), completed_at(was), Selection(since=START), {})
    replay = Replay(trial, database, lambda *_: None)
    profile = cProfile.Profile()
    cpu, wall = time.process_time(), time.monotonic()
    if profiled:
        profile.enable()
    replay.play()
    report = report_of(replay, "new.toml", "a synthetic store")
    profile.disable()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    database.close()
    if profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    size = (folder / "trimtab.sqlite").stat().st_size / 2**30
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"# {count:,} synthetic calls (seed {SEED}), a store of {size:.1f} GiB\n")
    print("| calls | CPU s | wall s | µs CPU a call | highest memory MiB | goal |")
    print("|---|---|---|---|---|---|")
    verdict = "met" if cpu * 1_000_000 / count < GOAL_SECONDS else "missed"
    print(
        f"| {report.calls:,} | {cpu:.1f} | {wall:.1f} | {cpu / count * 1e6:.1f} | {memory:.0f} | "
        f"{GOAL_SECONDS:g} s a million: {verdict} |\n"
    )
    print(markdown(report))


def ratios() -> None:
    """How many tokens two models use for the same, over all pairs of models in each workflow."""
    traces = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "tau2_traces" / "runs.jsonl.gz"
    written: dict[tuple[str, str], list[int]] = defaultdict(list)
    asked: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    with gzip.open(traces) as lines:
        for line in lines:
            run = json.loads(line)
            for message in run["messages"]:
                if message["role"] == "assistant" and message.get("usage"):
                    usage = message["usage"]
                    written[run["domain"], run["agent"]].append(usage["completion_tokens"])
                    # A task begins with the same prompt whoever is asked: what differs is the tokenizer.
                    asked[run["domain"], run["task"]].setdefault(run["agent"], usage["prompt_tokens"])
    means = {key: statistics.mean(values) for key, values in written.items() if len(values) > 100}
    outputs = [means[a] / means[b] for a, b in itertools.permutations(means, 2) if a[0] == b[0]]
    prompts = [
        a / b for told in asked.values() for a, b in itertools.permutations(told.values(), 2) if a and b
    ]
    print("| tokens | ratios | 5 % | 50 % | 95 % |\n|---|---|---|---|---|")
    for name, found in (
        ("output, mean of a model at a workflow", outputs),
        ("the same task's prompt", prompts),
    ):
        found.sort()
        low, middle, high = (found[int(share * (len(found) - 1))] for share in (0.05, 0.5, 0.95))
        print(f"| {name} | {len(found)} | {low:.2f} | {middle:.2f} | {high:.2f} |")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path, help="folder of the store; filled where it is not there")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--ratios", action="store_true")
    given = parser.parse_args()
    if given.ratios:
        ratios()
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        folder = given.store or Path(scratch)
        if not (folder / "trimtab.sqlite").exists():
            folder.mkdir(parents=True, exist_ok=True)
            database = Database(url_of("sqlite", folder))
            migrate(database)
            fill(database, given.calls)
            database.close()
        measure(folder, given.calls, profiled=given.profile)


if __name__ == "__main__":
    main()
