"""How long the console's pages take over a million calls, and what open tabs cost a gateway's calls.

    python -m bench.console [--calls 1000000] [--store FOLDER] [--stores sqlite,postgres] [--times 30] [--only WORD]
    python -m bench.console --tabs [--rounds 9] [--seconds 4]

The house is a process of its own; pages are fetched over its port one after the other, as an admin, each as often as
asked in turn. `--store` keeps what was filled and uses it again. Prints Markdown; a figure over its limit is marked.
"""

from __future__ import annotations

import argparse
import http.client
import math
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from bench.console_rest import Postgres
from bench.console_store import Filled, filled
from bench.console_tabs import cookie_of, tabs
from bench.processes import Fleet
from bench.upstream import await_port, free_port
from trimtab.console import ROOT
from trimtab.console.sheets import NAVIGATION

MOST_MS, MOST_KB = 300.0, 150.0
# Now is kept for two seconds: every turn is to read it anew.
TURN_SECONDS = 2.2
START_SECONDS = 120.0
Figures = dict[str, tuple[list[float], int, int]]


class Browser:
    """One connection that has signed in."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"cookie": cookie_of(port, key)}

    def get(self, path: str) -> tuple[int, bytes, float]:
        """Status, body, and seconds until it was there."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return answer.status, body, time.perf_counter() - began


def pages(file: Path, browser: Browser) -> Iterator[tuple[str, str]]:
    """Every page of the console that is got, with typical queries: (what it is, path)."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        names = _names(store)
    for path, title, _ in NAVIGATION:
        yield title, f"{ROOT}{path}"
    yield "Now of a tenant", _path("", tenant="acme")
    for sort in ("oldest", "dearest", "cheapest", "slowest", "fastest"):
        yield f"Runs, {sort}", _path("/runs", sort=sort)
    for about, asked in _narrowings(names):
        yield f"Runs of {about}", _path("/runs", **asked)
        yield f"Runs of {about}, dearest", _path("/runs", **asked, sort="dearest")
    for sort in ("newest", "dearest"):
        yield f"Runs, {sort}, second page", _second(browser, _path("/runs", sort=sort))
    yield "A run", _path("/run", tenant=names["tenant"], id=names["run"])
    yield "A run of hundreds of calls", _path("/run", tenant=names["long_tenant"], id=names["long"])
    tried = {"tenant": names["tenant"], "id": names["run"], "policy": "cheapest"}
    yield "A run under another policy", _path("/whatif", **tried)
    call = {"tenant": names["tenant"], "run": names["run"], "id": names["call"]}
    yield "A call", _path("/call", **call)
    for by in ("tenant", "user", "step", "model", "endpoint", "day"):
        yield f"Costs by {by}, 30 days", _path("/costs", by=by, range="30d")
    yield "Costs of a tenant's users", _path("/costs", by="user", tenant="acme", range="30d")
    yield "Costs of a workflow's steps", _path("/costs", by="step", workflow="triage", range="30d")
    yield "Costs as CSV", _path("/costs.csv", by="user", range="30d")
    for workflow in ("parts-support", "triage", "invoices"):
        yield f"Frontier of {workflow}", _path("/frontier", workflow=workflow)
    yield "Frontier's drawing", _path("/frontier.svg", workflow="triage")
    yield "A key's limit", _path("/keys/limit", id=names["key"])
    yield "A question", _path("/question", tenant=names["asker"], run=names["asking"], id=names["question"])


def _narrowings(names: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    return [
        ("a user", {"user": names["user"]}),
        ("a user and tenant", {"user": names["user"], "tenant": names["tenant"]}),
        ("a workflow", {"workflow": "triage"}),
        ("a tenant", {"tenant": "acme"}),
        ("a small tenant", {"tenant": "tenant-19"}),
        ("nobody", {"tenant": "nobody"}),
        ("one outcome", {"status": "not completed"}),
        ("a day", {"since": "24h"}),
        ("a workflow and outcome", {"workflow": "reports", "status": "completed"}),
        ("a cost", {"cost_from": "0.05"}),
        ("a hosted state", {"state": "failed"}),
    ]


def _names(store: sqlite3.Connection) -> dict[str, str]:
    """Things there are in the store."""
    wanted = {
        (
            "tenant",
            "run",
            "user",
        ): "SELECT tenant, id, user FROM run ORDER BY started_at DESC LIMIT 1 OFFSET 500",
        ("key",): "SELECT id FROM api_key WHERE revoked_at IS NULL LIMIT 1",
        ("long_tenant", "long"): "SELECT tenant, id FROM run ORDER BY calls DESC LIMIT 1",
        (
            "asker",
            "asking",
            "question",
        ): "SELECT tenant, run, id FROM workflow_question WHERE state = 'open' LIMIT 1",
    }
    found = {
        name: value
        for keys, text in wanted.items()
        for name, value in zip(keys, _row(store, text), strict=True)
    }
    found["call"] = _row(store, "SELECT id FROM call WHERE run = ? LIMIT 1", found["run"])[0]
    return found


def _row(store: sqlite3.Connection, text: str, *values: str) -> tuple[str, ...]:
    row: tuple[str, ...] = store.execute(text, values).fetchone()
    return row


def _path(path: str, **asked: str) -> str:
    return f"{ROOT}{path}" + (f"?{urlencode(asked)}" if asked else "")


def _second(browser: Browser, path: str) -> str:
    """The page behind a list's first."""
    found = re.search(r'<a href="([^"]+)" rel="next"', browser.get(path)[1].decode())
    return unescape(found[1]) if found else path


def measured(folder: Path, database: str, told: Filled, options: argparse.Namespace) -> Figures:
    """Seconds of every page, its bytes and its status; the pages take turns."""
    port, figures = free_port(), Figures()
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch, Fleet(Path(scratch)) as fleet:
        command = [sys.executable, "-m", "bench.console_house", str(folder), str(port), database]
        fleet.start("house", command, 0, {"PYTHONPATH": str(Path(__file__).parents[1])})
        await_port(port, START_SECONDS)
        browser = Browser(port, told.key)
        wanted = [page for page in pages(folder / "trimtab.sqlite", browser) if options.only in page[0]]
        for turn in range(options.times):
            print(f"\r{database.partition(':')[0]}: {turn + 1}/{options.times}   ", end="", file=sys.stderr)
            began = time.monotonic()
            for name, path in wanted:
                status, body, seconds = browser.get(path)
                taken = figures.get(name, ([], 0, 0))[0]
                figures[name] = ([*taken, seconds], len(body), status)
            time.sleep(max(0.0, TURN_SECONDS - (time.monotonic() - began)))
    print(file=sys.stderr)
    return figures


def table(figures: dict[str, Figures]) -> Iterator[str]:
    """As Markdown: p50 and p95 in milliseconds of each store, kilobytes."""
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    heads = [f"{store} {what}" for store in figures for what in ("first", "p50", "p95")]
    yield f"| page | {' | '.join(heads)} | kB |"
    yield f"|---|{'---:|' * (len(heads) + 1)}"
    for name in names:
        cells, size, said = [], 0, 200
        for found in figures.values():
            taken, size, said = found[name]
            ordered = sorted(taken)
            p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
            cells += [
                _marked(1e3 * value, MOST_MS, ".0f") for value in (taken[0], statistics.median(taken), p95)
            ]
        cells.append(_marked(size / 1e3, MOST_KB, ".1f"))
        yield f"| {name}{'' if said == 200 else f' (answered {said})'} | {' | '.join(cells)} |"


def _marked(value: float, most: float, form: str) -> str:
    return f"**{value:{form}} !**" if value > most else f"{value:{form}}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000, help="30,000 or more")
    parser.add_argument(
        "--store", type=Path, help="folder that is filled, or used where it is filled already"
    )
    parser.add_argument("--stores", default="sqlite,postgres")
    parser.add_argument("--times", type=int, default=30, help="how often each page is fetched")
    parser.add_argument("--only", default="", help="pages whose name has this word")
    parser.add_argument(
        "--tabs", action="store_true", help="what ten open tabs cost calls, in place of pages"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    if options.tabs:
        print("\n".join(tabs(options.rounds, options.seconds)))
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-", ignore_cleanup_errors=True) as scratch:
        folder = options.store or Path(scratch)
        told = filled(folder, options.calls)
        figures = {name: _of_store(name, folder, told, options) for name in options.stores.split(",")}
    print(f"# {told.calls:,} synthetic calls in {told.runs:,} runs, every page {options.times} times\n")
    print("\n".join(table(figures)))
    print(
        f"\nMilliseconds; `!` marks more than {MOST_MS:g} ms or {MOST_KB:g} kB. *first*: nothing is cached yet."
    )


def _of_store(name: str, folder: Path, told: Filled, options: argparse.Namespace) -> Figures:
    if name == "sqlite":
        return measured(folder, "sqlite", told, options)
    postgres = Postgres(folder / "postgres")
    try:
        if postgres.is_new:
            print("copying to PostgreSQL", file=sys.stderr)
            postgres.copy(folder / "trimtab.sqlite")
        return measured(folder, postgres.url, told, options)
    finally:
        postgres.close()


if __name__ == "__main__":
    main()
