"""The live gateway against the simulator: the same sessions at simulated engines on real sockets, and in simulation.

    python -m bench.scheduling_live [--policies round_robin,prefix_load,default] [--seconds 240] [--haste 4] [--load 1]
        [--seeds 1] [--first-seed 0]

The engines are *simulated* (they keep time by the model that the simulator uses) but the gateway, its scheduler, the
sockets and the client are real. Reads `$TRIMTAB_DATA/agent_steps/service.jsonl.gz` (default `../shared/data`).
Seconds are the engines' own, which run `--haste` times faster than the wall's: so much more the gateway costs them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.scheduling import scheduling_policy
from trimtab.simulation.cluster import (
    Cluster,
    Cut,
    Measure,
    ServerSettings,
    WorkloadSettings,
    allowed_seconds,
    knee,
    read_sessions,
    simulate,
)
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.measure import quantile, run_seconds
from trimtab.simulation.cluster.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import aiohttp

    from trimtab.simulation.cluster.job import Job
    from trimtab.simulation.cluster.plans import SessionPlan

COUNT = 4
CLUSTER = Cluster(
    server=(ServerSettings(gpu="A100", gpus=4, count=COUNT),), workload=WorkloadSettings(seconds=240.0)
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BYTES_A_TOKEN = 4
_REPLY = "ok, "  # what a simulated engine says for a token


class Player:
    """Plays sessions by the clock on the wall, each call a streamed request to the gateway."""

    def __init__(
        self, sessions: Sessions, agenda: Agenda, session: aiohttp.ClientSession, url: str, haste: float
    ) -> None:
        self._sessions, self._agenda, self._http, self._url, self._haste = (
            sessions,
            agenda,
            session,
            url,
            haste,
        )
        self._prompts: dict[int, str] = {}
        self._systems: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken, self._began = asyncio.Event(), time.monotonic()
        self._rng = random.Random(1)
        self.failed = 0
        sessions.take = self._take

    @property
    def _now(self) -> float:
        return (time.monotonic() - self._began) * self._haste

    async def play(self, seconds: float) -> None:
        """Until the time is up and every run that began is over."""
        self._began = time.monotonic()
        while self._now < seconds or self._sessions.open_runs:
            self._agenda.play_until(self._now)
            due = self._agenda.next_at
            self._woken.clear()
            left = 1.0 if due is None else max(0.0, due - self._now) / self._haste
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def _take(self, job: Job, now: float) -> None:
        task = asyncio.create_task(self._call(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, job: Job) -> None:
        standing = job.run.standing
        body = {
            "model": "simulated",
            "messages": [{"role": "user", "content": self._prompt(job)}],
            "max_tokens": 20_000,
            "stream": True,
            "stream_options": {"include_usage": True},
            "simulated_output_tokens": job.output_tokens,
        }
        headers = {
            "x-trimtab-run": standing.id,
            "x-trimtab-workflow": standing.workflow,
            "x-trimtab-step": job.plan.step,
        }
        async with self._http.post(f"{self._url}/v1/chat/completions", json=body, headers=headers) as answer:
            said = await answer.read()
        if answer.status != 200 or b"[DONE]" not in said:
            self.failed += 1
            print(f"a call failed: {answer.status} {said[-300:]!r}", file=sys.stderr)
        self._prompts[job.context] += _REPLY * job.output_tokens
        now = self._now
        self._agenda.play_until(now)
        self._sessions.finished(job, now)
        self._woken.set()

    def _prompt(self, job: Job) -> str:
        """Letters that nobody sent before, after what the step shares with its conversation or the system prompt."""
        plan = job.plan
        system = self._systems.setdefault(plan.system, self._made(plan.system_tokens))
        known = self._prompts.get(job.context, system[: plan.system_tokens * _BYTES_A_TOKEN])
        kept = known[: max(plan.shared_tokens, plan.system_tokens) * _BYTES_A_TOKEN]
        prompt = kept + self._made(plan.input_tokens - len(kept) // _BYTES_A_TOKEN)
        self._prompts[job.context] = prompt
        return prompt

    def _made(self, tokens: int) -> str:
        count = max(0, tokens) * _BYTES_A_TOKEN
        return "".join(self._rng.choices(_LETTERS, k=min(64, count))) + "." * max(0, count - 64)


async def live(
    plans: Sequence[SessionPlan],
    slos: Mapping[str, float],
    url: str,
    rate: float,
    seed: int,
    seconds: float,
    haste: float,
) -> dict[str, Any]:
    """One policy at the live gateway: what runs took, in the engines' seconds."""
    import aiohttp

    agenda = Agenda()
    sessions = Sessions(plans, slos, scheduling_policy("default"), agenda, random.Random(seed))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as http:
        player = Player(sessions, agenda, http, url, haste)
        sessions.come(rate, seconds)
        await player.play(seconds)
    took, slo = run_seconds(sessions.records, CLUSTER.workload.warm_share * seconds, seconds)
    return {
        "runs": len(took),
        "mean": sum(took) / len(took),
        "p50": quantile(took, 0.5),
        "p95": quantile(took, 0.95),
        "slo": slo,
        "failed": player.failed,
    }


@contextmanager
def engines(haste: float) -> Iterator[list[int]]:
    """Their ports."""
    command = [sys.executable, "-m", "bench.scheduling_engines", str(COUNT), str(haste)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.terminate()


@contextmanager
def gateway(folder: Path, ports: Sequence[int], policy: str, haste: float) -> Iterator[str]:
    """A Trimtab over the engines; its URL."""
    speed = CLUSTER.profiles()[0].speed
    text = (
        f'[server]\ndata = "{folder / policy}"\n[traces]\ncontent = "drop"\n[scheduling]\npolicy = "{policy}"\n'
        '[[tenant]]\nname = "*"\nmax_queued = 100000\n'
    )
    for number, port in enumerate(ports):
        text += (
            f'[[endpoint]]\nname = "engine{number}"\nurl = "http://127.0.0.1:{port}/v1"\nmodels = ["simulated"]\n'
            f"price = {{ input = 1.0, output = 3.0 }}\nconcurrency = {CLUSTER.server[0].most_calls}\n"
            "max_queued = 100000\n"
            "timeouts = { total = 3600, first_token = 3600, idle = 3600 }\n"
            f"[endpoint.speed]\nprompt_tokens_per_second = {haste / speed.prefill_seconds}\n"
            f"token_seconds = {speed.base_seconds / haste}\ncall_seconds = {speed.call_seconds / haste}\n"
            f"context_seconds = {speed.context_seconds / haste}\n"
            f"attention_seconds = {speed.attention_seconds / haste}\n"
        )
    config = folder / f"{policy.replace('+', '-')}.toml"
    config.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trimtab", "serve", "-c", str(config), "--port", str(port)]
    with (
        (folder / "gateway.log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _await(port, process, folder / "gateway.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as tried:
            if not tried.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise SystemExit(f"the gateway did not start:\n{log.read_text()[-2000:]}")


def _row(policy: str, seed: int, measured: dict[str, Any], foretold: Measure) -> str:
    def pair(name: str, simulated: float) -> str:
        return f"{measured[name]:.1f} / {simulated:.1f} ({measured[name] / simulated - 1:+.1%})"

    return (
        f"| {policy} | {seed} | {measured['runs']} | {pair('mean', foretold.mean_seconds)} "
        f"| {pair('p50', foretold.p50_seconds)} | {pair('p95', foretold.p95_seconds)} "
        f"| {measured['slo']:.1%} / {foretold.slo:.1%} | {measured['failed']} |"
    )


def main() -> None:
    """Play and compare."""
    import uvloop

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policies", default="round_robin,prefix_load,default")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--haste", type=float, default=4.0)
    parser.add_argument("--load", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    asked = parser.parse_args()
    data = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "agent_steps" / "service.jsonl.gz"
    plans = read_sessions(data, Cut())
    global CLUSTER
    CLUSTER = Cluster(server=CLUSTER.server, workload=WorkloadSettings(seconds=asked.seconds))
    slos = allowed_seconds(plans, CLUSTER)
    rate = asked.load * knee(CLUSTER, plans, slos, 100)
    print(
        f"{COUNT} simulated engines, {rate:.3g} sessions a second, haste {asked.haste:g}; live / simulated\n"
    )
    print(
        "| policy | seed | runs | mean s | p50 s | p95 s | in SLO | failed |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            for policy in asked.policies.split(","):
                with engines(asked.haste) as ports, gateway(Path(folder), ports, policy, asked.haste) as url:
                    measured = uvloop.run(live(plans, slos, url, rate, seed, asked.seconds, asked.haste))
                print(
                    _row(policy, seed, measured, simulate(CLUSTER, plans, slos, policy, rate, seed)),
                    flush=True,
                )


if __name__ == "__main__":
    main()
