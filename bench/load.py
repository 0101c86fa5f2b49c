"""The load: wrk for the closed loop, the open-loop client for latency and first tokens."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.body import request_body
from bench.openloop import Order, Report
from bench.processes import cpu_seconds, pinned, raise_priority
from bench.targets import Way

CONNECTIONS = 64
SETTLE_SECONDS = 0.5
HERE = Path(__file__).resolve().parent

SCRIPT = """\
local stem, count = "wrk-{stem}-", 0
local headers = {{ {headers} }}
local head, tail
function init(args)
  local whole = wrk.format("POST", nil, headers, [==[{body}]==])
  local from, to = string.find(whole, "{{run}}", 1, true)
  head, tail = whole, nil
  if from then head, tail = string.sub(whole, 1, from - 1) .. stem, string.sub(whole, to + 1) end
end
function request()
  if not tail then return head end
  count = count + 1
  return head .. math.floor(count / 8) .. tail
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{{"n":%d,"us":%d,"p50":%d,"p99":%d,"status":%d,"socket":%d}}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


class LoadFailed(Exception):
    """A load tool did not give figures, or too few calls succeeded; the message carries what was said."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed loop: calls a second, CPU per call of the gateway's processes, and the cores they kept busy.

    `busy` well below 1 says that the load side was the limit, not the gateway.
    """

    calls: int
    failed: int
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    busy: float | None


def closed_loop(way: Way, leader: int | None, seconds: float, core: int, folder: Path) -> Closed:
    """64 connections by wrk from `core`. `leader` is the gateway's session, None for the upstream itself.

    CPU is read once more half a second after the load, so that work put off until later counts too.
    """
    script = folder / "closed.lua"
    script.write_text(lua(way))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
    spent = cpu_seconds(leader) if leader else 0.0
    began = time.monotonic()
    out = run_pinned([*command, "-s", str(script), way.url], core, None, seconds + 60)
    wall = time.monotonic() - began
    own = cpu_seconds(leader) - spent if leader else 0.0
    time.sleep(SETTLE_SECONDS)
    total = cpu_seconds(leader) - spent if leader else 0.0
    figures = json.loads(out.strip().splitlines()[-1])
    good = figures["n"] - figures["status"]
    if good < figures["n"] * 0.99 or not good:
        raise LoadFailed(f"closed loop: {figures['n'] - good} of {figures['n']} calls failed")
    return Closed(
        calls=figures["n"],
        failed=figures["status"] + figures["socket"],
        rps=round(good / figures["us"] * 1e6, 1),
        p50_ms=round(figures["p50"] / 1e3, 3),
        p99_ms=round(figures["p99"] / 1e3, 3),
        cpu_us=round(total / good * 1e6, 1) if leader else None,
        busy=round(own / wall, 3) if leader else None,
    )


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """How the open loop is driven: the Python that runs the client, for how long, on which core."""

    python: Path
    seconds: float
    core: int


def open_loop(way: Way, load: OpenLoad, rate: float, *, stream: bool) -> Report:
    """`rate` calls a second, plain or streamed. Raises LoadFailed when more than a tenth of them fail."""
    order = Order(
        url=way.url,
        headers=[list(header) for header in way.headers],
        body=request_body(way.model, stream=stream).decode(),
        rate=rate,
        seconds=load.seconds,
    )
    command = [str(load.python), str(HERE / "openloop.py")]
    out = run_pinned(command, load.core, json.dumps(asdict(order)), load.seconds + 60)
    report = Report(**json.loads(out))
    if report.ok < report.sent * 0.9:
        raise LoadFailed(f"open loop: {report.sent - report.ok} of {report.sent} calls failed or hung")
    return report


def lua(way: Way) -> str:
    """The wrk script for `way`: eight calls in a row share a run where a header asks for one."""
    pairs = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in way.headers)
    body = request_body(way.model, stream=False).decode()
    return SCRIPT.format(stem=f"{time.time_ns():x}", body=body, headers=pairs)


def run_pinned(command: Sequence[str], core: int, stdin: str | None, limit_seconds: float) -> str:
    """Run a load tool on `core`, give its stdout. Raises LoadFailed when it fails or overruns its limit."""
    process = subprocess.Popen(
        [*pinned(core), *command],
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=dict(os.environ),
    )
    raise_priority(process.pid)
    try:
        out, err = process.communicate(stdin, timeout=limit_seconds)
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{command[0]} was not done after {limit_seconds:.0f} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0 or not out.strip():
        raise LoadFailed(f"{command[0]} failed: {(err or out).strip()[-300:]}")
    return out
