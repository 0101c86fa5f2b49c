"""Processes the benchmark starts: pinned, each in its own session, measured from /proc, always ended.

Every child gets a new session, so `Fleet.stop` can find all that came of it and end nothing else.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PRIORITY = -10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process tree in MiB: summed RSS, and PSS, which counts a shared page once."""

    rss_mib: float
    pss_mib: float


@dataclass(slots=True)
class Child:
    """A process we started, the leader of its own session; `log` holds what it wrote."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id, which is also its session id."""
        return self.process.pid

    def exited(self) -> bool:
        """True once the leader has ended."""
        return self.process.poll() is not None

    def tail(self, lines: int = 6) -> str:
        """The last lines of its log, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.strip().splitlines()[-lines:])


@dataclass(slots=True)
class Fleet:
    """All children of this benchmark. Use as a context manager: leaving it ends every one of them."""

    folder: Path
    children: list[Child] = field(default_factory=list)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children[:]):
            self.stop(child)

    def start(
        self, name: str, command: Sequence[str], core: int, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start `command` on one core in a new session; it dies with us even if we are killed outright."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*pinned(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children.append(child)
        raise_priority(process.pid)
        return child

    def stop(self, child: Child, grace_seconds: float = 5.0) -> None:
        """Ask the child's session to end, then make it end. Returns when no process of it is left."""
        self.children.remove(child)
        deadline = time.monotonic() + grace_seconds
        signal_all(session(child.pid), signal.SIGTERM)
        while session(child.pid) and time.monotonic() < deadline:
            child.process.poll()
            time.sleep(0.05)
        while left := session(child.pid):
            signal_all(left, signal.SIGKILL)
            child.process.poll()
            time.sleep(0.05)
        child.process.wait()

    def strangers_seconds(self) -> float:
        """CPU seconds since boot, over all cores, spent by anything that is not of this benchmark.

        Only differences mean something, and only while no child was stopped in between.
        """
        own = sum(cpu_seconds(child.pid) for child in self.children)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return busy_seconds() - own


def pinned(core: int) -> list[str]:
    """The command prefix that pins what follows to `core` and, where it can, ties its life to ours."""
    tether = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return [*tether, "taskset", "-c", str(core)]


def raise_priority(pid: int) -> None:
    """Raise the scheduling priority of `pid` and its session over other work on the machine, if we may."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
        (PROC / str(pid) / "autogroup").write_text(str(PRIORITY))


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to each of `pids`; those already gone are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def session(leader: int) -> list[int]:
    """Living processes of the session that `leader` began (zombies left out)."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        fields = stat_fields(int(entry.name))
        if fields and fields[0] != "Z" and int(fields[3]) == leader:
            found.append(int(entry.name))
    return found


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` (field 3 of proc(5)) on; empty when the process is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()


def cpu_seconds(leader: int) -> float:
    """User and system CPU spent so far by the session's processes, all threads, and their reaped children."""
    ticks = 0
    for pid in session(leader):
        if fields := stat_fields(pid):
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS_PER_SECOND


def thread_seconds(leader: int) -> dict[str, float]:
    """CPU spent so far by the threads of `leader`, summed by thread name."""
    spent: dict[str, float] = {}
    for task in (PROC / str(leader) / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = (task / "stat").read_text()
            name = text[text.index("(") + 1 : text.rindex(")")]
            fields = text[text.rindex(")") + 2 :].split()
            spent[name] = spent.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return spent


def busy_seconds() -> float:
    """Seconds that the cores, together, have been busy since boot: all but idle and iowait."""
    line = (PROC / "stat").read_text().splitlines()[0]
    ticks = [int(value) for value in line.split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_SECOND


def memory(leader: int) -> Memory:
    """Resident memory of the session, from /proc/PID/smaps_rollup."""
    kib = {"Rss:": 0, "Pss:": 0}
    for pid in session(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                label, *rest = line.split()
                if label in kib:
                    kib[label] += int(rest[0])
    return Memory(rss_mib=round(kib["Rss:"] / 1024, 1), pss_mib=round(kib["Pss:"] / 1024, 1))
