"""What ten open tabs of the page Now cost a gateway's calls: CPU a call with and without them, in pairs.

The gateway runs as `bench.gateway` runs it, alone on core 0, on a store that has a busy hour; wrk's closed loop and the
tabs are on core 1. Called by `bench.console --tabs`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.console_store import filled
from bench.load import closed_loop
from bench.measure import START_SECONDS, first_answer
from bench.peers import prepare
from bench.processes import Fleet
from bench.targets import Way, trimtab
from bench.upstream import start_upstreams
from trimtab.console import ROOT

TABS, GOAL = 10, 0.05
_CALLS = 100_000
_WARM_SECONDS = 5.0
_GATEWAY_CORE, _LOAD_CORE = 0, 1


class Tabs:
    """Connections that read the live part of Now, and throw it away."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port, self._cookie = port, cookie
        self.bytes, self.failed = 0, 0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Ten of them, until the block ends."""
        held = [http.client.HTTPConnection("127.0.0.1", self._port, timeout=30) for _ in range(TABS)]
        threads = [threading.Thread(target=self._read, args=(one,), daemon=True) for one in held]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        try:
            yield
        finally:
            for one in held:
                if one.sock is not None:
                    with contextlib.suppress(OSError):
                        one.sock.shutdown(2)
            for thread in threads:
                thread.join(5)

    def _read(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", f"{ROOT}/live/now", headers={"cookie": self._cookie})
        answer = connection.getresponse()
        self.failed += answer.status != 200
        with contextlib.suppress(OSError, http.client.HTTPException):
            while part := answer.read1(65_536):
                self.bytes += len(part)


def tabs(rounds: int, seconds: float) -> Iterator[str]:
    """Measure; the report's lines."""
    os.sched_setaffinity(0, {_LOAD_CORE})
    kit = prepare(["trimtab"])
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-bench-", ignore_cleanup_errors=True) as scratch,
        Fleet(Path(scratch)) as fleet,
    ):
        Path(scratch).chmod(0o755)
        upstreams = start_upstreams(fleet, kit.python, _LOAD_CORE)
        folder = Path(scratch) / "trimtab"
        told = filled(folder / "data", _CALLS)
        target = trimtab(folder, upstreams)
        child = fleet.start("trimtab", target.command, _GATEWAY_CORE, target.env)
        way, _ = first_answer(target, child, time.monotonic() + START_SECONDS)
        port = urlsplit(way.url).port or 0
        watching = Tabs(port, cookie_of(port, told.key))
        closed_loop(way, child.pid, _WARM_SECONDS, _LOAD_CORE, fleet.folder)
        pairs = [_pair(at, way, child.pid, watching, fleet.folder, seconds) for at in range(rounds)]
    yield from _told(pairs, watching)


def _pair(
    at: int, way: Way, leader: int, watching: Tabs, folder: Path, seconds: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """(CPU us a call, calls a second) without and with tabs, in an order that changes from round to round."""
    print(f"\rround {at + 1}   ", end="", file=sys.stderr)
    found: dict[bool, tuple[float, float]] = {}
    for watched in (False, True) if at % 2 == 0 else (True, False):
        with watching.open() if watched else contextlib.nullcontext():
            closed = closed_loop(way, leader, seconds, _LOAD_CORE, folder)
        found[watched] = (closed.cpu_us or 0.0, closed.rps)
    return found[False], found[True]


def cookie_of(port: int, key: str) -> str:
    """What a key is exchanged for at the door. Raises SystemExit where it is not taken."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    form = {"content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{ROOT}/sign-in", urlencode({"key": key}), form)
    answer = connection.getresponse()
    if answer.status != 303:
        raise SystemExit(f"signing in was answered {answer.status}")
    return (answer.getheader("set-cookie") or "").partition(";")[0]


def _told(pairs: list[tuple[tuple[float, float], tuple[float, float]]], watching: Tabs) -> Iterator[str]:
    ratios = [with_tabs[0] / without[0] - 1 for without, with_tabs in pairs]
    middle = statistics.median(ratios)
    yield f"# {TABS} tabs of Now open, {len(pairs)} pairs\n"
    yield "| | CPU us a call | calls/s |"
    yield "|---|---:|---:|"
    for name, which in (("no tab", 0), ("ten tabs", 1)):
        cpu, rps = (statistics.median(pair[which][part] for pair in pairs) for part in (0, 1))
        yield f"| {name} | {cpu:.1f} | {rps:.0f} |"
    verdict = "met" if middle <= GOAL else "missed"
    yield (
        f"\nCPU a call with tabs: {middle:+.1%} (median of pairs, {min(ratios):+.1%} to {max(ratios):+.1%}); "
        f"goal at most {GOAL:+.0%}: {verdict}. {watching.bytes / 1e6:.1f} MB read by tabs, {watching.failed} failed."
    )
