"""One round of one target: start it, wait for its first answer, load it, read what it cost, end it."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.body import request_body
from bench.load import Closed, OpenLoad, closed_loop, open_loop
from bench.openloop import Report
from bench.processes import Child, Fleet, Memory, memory
from bench.targets import TARGETS, Target, Way
from bench.upstream import Upstreams

START_SECONDS = 90.0
POLL_SECONDS = 0.01
IDLE_SECONDS = 1.0
HEADROOM = 1.5
STEADY = 1.05


class NotMeasured(Exception):
    """The target did not start or did not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard: seconds of each phase, and calls a second of the open loops.

    Streams, and targets that cannot carry `rate`, get `low_rate`.
    """

    closed_seconds: float
    warm_window_seconds: float
    warm_limit_seconds: float
    open_seconds: float
    rate: float
    low_rate: float
    gateway_core: int
    load_core: int


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round. Start and memory are None for the upstream itself, which nobody starts here.

    `rate` is the open loop's, in calls a second. `others` is how many cores strangers used meanwhile: noise.
    """

    cold_seconds: float | None
    idle: Memory | None
    loaded: Memory | None
    closed: Closed
    rate: float
    plain: Report
    stream: Report
    others: float


@dataclass(frozen=True, slots=True)
class Running:
    """A started target: how to speak to it, its process (None: the upstream), seconds to its first answer."""

    plain: Way
    streamed: Way
    child: Child | None
    cold_seconds: float | None


def measure(name: str, number: int, fleet: Fleet, upstreams: Upstreams, python: Path, plan: Plan) -> Round:
    """Round `number` of target `name`, ended whatever happens. Raises NotMeasured, LoadFailed or Missing."""
    running = start(name, number, fleet, upstreams, plan.gateway_core)
    try:
        return figures(running, fleet, python, plan)
    finally:
        if running.child:
            fleet.stop(running.child)


def figures(running: Running, fleet: Fleet, python: Path, plan: Plan) -> Round:
    """Load a running target in the fixed order: warm up, closed loop, open loop, streams."""
    leader = running.child.pid if running.child else None
    folder, core = fleet.folder, plan.load_core
    time.sleep(IDLE_SECONDS if leader else 0.0)
    idle = memory(leader) if leader else None
    strangers, began = fleet.strangers_seconds(), time.monotonic()
    warm_up(running.plain, leader, folder, plan)
    closed = closed_loop(running.plain, leader, plan.closed_seconds, core, folder)
    rate = plan.rate if closed.rps > plan.rate * HEADROOM else plan.low_rate
    load = OpenLoad(python, plan.open_seconds, core)
    plain = open_loop(running.plain, load, rate, stream=False)
    stream = open_loop(running.streamed, load, plan.low_rate, stream=True)
    loaded = memory(leader) if leader else None
    spent = max(0.0, fleet.strangers_seconds() - strangers)
    others = round(spent / (time.monotonic() - began), 3)
    return Round(running.cold_seconds, idle, loaded, closed, rate, plain, stream, others)


def warm_up(way: Way, leader: int | None, folder: Path, plan: Plan) -> None:
    """Load in windows until one is no faster than those before it (compilers are warm), or time is up."""
    best = 0.0
    for _ in range(max(1, int(plan.warm_limit_seconds / plan.warm_window_seconds))):
        rps = closed_loop(way, leader, plan.warm_window_seconds, plan.load_core, folder).rps
        if rps < best * STEADY:
            return
        best = max(best, rps)


def start(name: str, number: int, fleet: Fleet, upstreams: Upstreams, core: int) -> Running:
    """Start the target in a fresh folder and wait until it has answered a plain and a streamed call."""
    folder = fleet.folder / f"{name}-{number}"
    folder.mkdir()
    target = TARGETS[name](folder, upstreams)
    if not target.command:
        ways = target.ways()
        assert ways is not None
        return Running(*ways, None, None)
    began = time.monotonic()
    child = fleet.start(f"{name}-{number}", target.command, core, target.env)
    try:
        plain, streamed = first_answer(target, child, began + START_SECONDS)
        cold = round(time.monotonic() - began, 3)
        status, text = ask(streamed, stream=True)
        if status != 200 or '"usage"' not in text:
            raise NotMeasured(f"{name}: a streamed call was answered {status}: {text[:300]}")
    except BaseException:
        fleet.stop(child)
        raise
    return Running(plain, streamed, child, cold)


def first_answer(target: Target, child: Child, deadline: float) -> tuple[Way, Way]:
    """Ask until a plain call is answered with 200. Raises NotMeasured when the process ends or time is up."""
    said = "no answer"
    while time.monotonic() < deadline:
        if child.exited():
            raise NotMeasured(f"{child.name} ended: {child.tail()}")
        ways = target.ways()
        if ways:
            try:
                status, text = ask(ways[0], stream=False)
            except (OSError, http.client.HTTPException) as error:
                said = repr(error)
            else:
                if status == 200:
                    return ways
                said = f"{status}: {text[:300]}"
        time.sleep(POLL_SECONDS)
    raise NotMeasured(f"{child.name} gave no 200 in {START_SECONDS:.0f} s; last: {said}; log: {child.tail()}")


def ask(way: Way, *, stream: bool) -> tuple[int, str]:
    """One call over a new connection: its status and whole body."""
    parts = urlsplit(way.url)
    headers = {name: value.replace("{run}", "first") for name, value in way.headers}
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("POST", parts.path, request_body(way.model, stream=stream), headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode(errors="replace")
    finally:
        connection.close()
