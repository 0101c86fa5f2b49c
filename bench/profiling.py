"""Where Trimtab spends its time under the closed loop: py-spy's samples, self time by function."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.load import LoadFailed, closed_loop
from bench.measure import Plan, start, warm_up
from bench.processes import Fleet, pinned, thread_seconds
from bench.upstream import Upstreams

TOP = 40
SAMPLES_PER_SECOND = 250


def profile(fleet: Fleet, upstreams: Upstreams, py_spy: Path, plan: Plan, folded: Path) -> str:
    """Sample Trimtab for the closed loop's seconds into `folded`; the top functions as a table.

    Raises LoadFailed when py-spy gives nothing (it needs root, or ptrace of a process that is not our child).
    """
    running = start("trimtab", 0, fleet, upstreams, plan.gateway_core)
    assert running.child is not None
    try:
        leader = running.child.pid
        warm_up(running.plain, leader, fleet.folder, plan)
        sampler = [str(py_spy), "record", "--pid", str(leader), "--format", "raw", "--output", str(folded)]
        sampler += ["--rate", str(SAMPLES_PER_SECOND), "--duration", str(max(1, round(plan.closed_seconds)))]
        # Only threads that hold the interpreter: py-spy takes waiting ones for busy. What runs outside Python
        # shows in the table of threads.
        before = thread_seconds(leader)
        with subprocess.Popen(
            [*pinned(plan.load_core), *sampler, "--gil"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as spy:
            seconds = plan.closed_seconds + 1
            closed = closed_loop(running.plain, leader, seconds, plan.load_core, fleet.folder)
            after = thread_seconds(leader)
            said = spy.communicate(timeout=30)[1]
        if spy.returncode != 0 or not folded.exists():
            raise LoadFailed(f"py-spy: {said.strip()[-300:]}")
    finally:
        fleet.stop(running.child)
    heading = f"{closed.rps:,.0f} calls/s, {closed.cpu_us} us CPU a call while sampled; stacks in {folded}\n"
    return heading + threads(before, after) + self_time(folded.read_text())


def threads(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """A line on which threads, by name, spent the CPU between two readings."""
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
    total = sum(spent.values()) or 1.0
    shares = sorted(((value / total, name) for name, value in spent.items()), reverse=True)
    named = ", ".join(f"{name} {share:.1%}" for share, name in shares if share >= 0.001)
    return f"CPU by thread: {named}\n"


def self_time(stacks: str) -> str:
    """The functions with most samples of their own, and the share of samples that had them on the stack."""
    own: Counter[str] = Counter()
    under: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [without_line(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            under[frame] += int(count)
    total = max(1, own.total())
    lines = [f"{'self %':>7}{'with callees %':>16}  function"]
    for frame, samples in own.most_common(TOP):
        lines.append(f"{samples / total:7.1%}{under[frame] / total:16.1%}  {frame}")
    return "\n".join(lines) + "\n"


def without_line(frame: str) -> str:
    """`name (file:line)` without the line, so that a function is counted once."""
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rpartition(':')[0] or place.rstrip(')')})" if place else name
