"""How well the simulator's server foretells a real engine: fitted on half of the measurements, judged on the rest.

    TRIMTAB_VLLM=~/vllm/bin/python python -m bench.scheduling_fit [--scenes 24] [--seeds 5]

Starts a vLLM on CPU (docs/vllm.md) with a small model of random weights, measures scenes (a dozen calls that come by
chance, of all lengths and at all loads), fits the five times of `Speed` and the door's own to every second scene
by least squares of log latencies, and foretells the rest. Beside it, on the same halves: a linear regression on a
call's own tokens, which is blind to the other calls.
"""

import argparse
import asyncio
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp
import msgspec
import numpy
from scipy.optimize import least_squares

from bench.vllm_engine import vllm_serving
from trimtab.scheduling import Demand, RunStanding, Speed
from trimtab.simulation.cluster import Profile, StepPlan, linked
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.job import Job, LiveRun, LiveSession
from trimtab.simulation.cluster.plans import SessionPlan
from trimtab.simulation.cluster.server import Server

_MOST_CALLS = 8
_CHUNK = 512
_HIDDEN, _LAYERS = 384, 6
_FLAGS = f"--max-num-seqs {_MOST_CALLS} --max-num-batched-tokens {_CHUNK} --no-enable-prefix-caching"
_CALLS = 14
_GAPS = (0.05, 0.15, 0.4, 1.0)
_START = (0.012, 4e-4, 1e-3, 1e-7, 1e-7, 0.01)


class Asked(msgspec.Struct, frozen=True):
    """One call of a scene; `at` in seconds after its beginning."""

    at: float
    input_tokens: int
    output_tokens: int


class Took(msgspec.Struct, frozen=True):
    """Seconds from when a call was sent."""

    first: float
    last: float


Scene = list[Asked]
Measured = list[Took]


def scene(rng: random.Random) -> Scene:
    """Calls that come by chance."""
    gap, now, asked = rng.choice(_GAPS), 0.0, []
    for _ in range(_CALLS):
        tokens = int(math.exp(rng.uniform(math.log(16), math.log(1_500))))
        asked.append(Asked(now, tokens, rng.randint(8, 160)))
        now += rng.expovariate(1 / gap)
    return asked


async def measure(url: str, scenes: Sequence[Scene], rng: random.Random) -> list[Measured]:
    """Each scene after the one before it is over."""
    measured = []
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=300), connector=aiohttp.TCPConnector(force_close=True)
    ) as http:
        for one in [scenes[0], *scenes]:
            begin = time.monotonic()
            calls = [_call(http, url, asked, begin, rng) for asked in one]
            measured.append(list(await asyncio.gather(*calls)))
            print(f"scene {len(measured) - 1}/{len(scenes)}", file=sys.stderr)
    return measured[1:]


async def _call(
    http: aiohttp.ClientSession, url: str, asked: Asked, begin: float, rng: random.Random
) -> Took:
    body = {
        "model": "tiny",
        "prompt": [rng.randrange(10, 250) for _ in range(asked.input_tokens)],
        "max_tokens": asked.output_tokens,
        "ignore_eos": True,
        "stream": True,
    }
    await asyncio.sleep(max(0.0, begin + asked.at - time.monotonic()))
    sent, first = time.monotonic(), 0.0
    async with http.post(f"{url}/v1/completions", json=body) as answer:
        answer.raise_for_status()
        async for _ in answer.content:
            first = first or time.monotonic()
    return Took(first - sent, time.monotonic() - sent)


def speed_of(figures: Sequence[float]) -> Speed:
    """The first five; the sixth is the door's seconds."""
    base, prefill, call, context, attention = figures[:5]
    return Speed(base, prefill, call, context, attention, _CHUNK)


class _Heard:
    def __init__(self) -> None:
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}

    def started(self, job: Job, now: float) -> None:
        self.first[job.number] = now

    def finished(self, job: Job, now: float) -> None:
        self.last[job.number] = now


def foretold(asked: Scene, figures: Sequence[float]) -> Measured:
    """What the simulator's server says of a scene."""
    agenda, heard, door = Agenda(), _Heard(), figures[5]
    profile = Profile(speed_of(figures), 10**9, 32, 0.0, "fitted")
    server = Server(0, profile, _MOST_CALLS, agenda, heard)
    for number, one in enumerate(asked):
        plan = StepPlan("call", one.input_tokens, one.output_tokens, 0)
        standing = RunStanding(str(number), "fit", 0.0)
        run = LiveRun(linked("fit", [plan]), LiveSession(1, SessionPlan(())), standing, [0], 1, [], [])
        demand = Demand(standing, "call", number, 0.0, one.input_tokens, one.output_tokens, 1.0)
        agenda.at(one.at, server.accept, Job(number, run, 0, plan, number, one.output_tokens, demand))
    agenda.play(lambda: False)
    return [
        Took(heard.first[number] - one.at + door, heard.last[number] - one.at + door)
        for number, one in enumerate(asked)
    ]


def fit(scenes: Sequence[Scene], measured: Sequence[Measured]) -> list[float]:
    """The six figures that foretell the scenes best."""

    def residuals(logs: "numpy.ndarray") -> "numpy.ndarray":
        figures = numpy.exp(logs)
        wrong = []
        for one, told in zip(scenes, measured, strict=True):
            for said, was in zip(foretold(one, figures), told, strict=True):
                wrong += [math.log(said.first / was.first), math.log(said.last / was.last)]
        return numpy.array(wrong)

    return _least(residuals, _START)


def regressed(
    scenes: Sequence[Scene], measured: Sequence[Measured], others: Sequence[Scene]
) -> list[Measured]:
    """The floor: latencies linear in a call's own tokens, fitted to the same end as the simulator's figures."""
    rows = numpy.array([[1, one.input_tokens, one.output_tokens] for asked in scenes for one in asked])
    weights = []
    for name in ("first", "last"):
        told = numpy.log([getattr(took, name) for each in measured for took in each])
        found = _least(lambda logs, told=told: numpy.log(rows @ numpy.exp(logs)) - told, (0.1, 1e-3, 1e-3))
        weights.append(numpy.array(found))
    made = []
    for asked in others:
        own = numpy.array([[1, one.input_tokens, one.output_tokens] for one in asked])
        made.append([Took(*pair) for pair in zip(own @ weights[0], own @ weights[1], strict=True)])
    return made


def _least(residuals: Callable[["numpy.ndarray"], "numpy.ndarray"], start: Sequence[float]) -> list[float]:
    """The positive figures of the least residuals, few of them far off."""
    found = least_squares(
        residuals, numpy.log(start), diff_step=0.02, loss="soft_l1", f_scale=0.2, max_nfev=60
    )
    return [float(figure) for figure in numpy.exp(found.x)]


def errors(said: Sequence[Measured], was: Sequence[Measured]) -> tuple[float, float, float]:
    """Median error of calls' latency and of their first token; mean error of scenes' mean latency. Shares."""
    pairs = [pair for one, other in zip(said, was, strict=True) for pair in zip(one, other, strict=True)]
    last = statistics.median(abs(a.last / b.last - 1) for a, b in pairs)
    first = statistics.median(abs(a.first / b.first - 1) for a, b in pairs)
    means = [
        abs(sum(a.last for a in one) / sum(b.last for b in other) - 1)
        for one, other in zip(said, was, strict=True)
    ]
    return last, first, statistics.mean(means)


def main() -> None:
    """Measure, fit, foretell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5, help="ways to halve the scenes")
    chosen = parser.parse_args()
    python = os.environ.get("TRIMTAB_VLLM")
    if not python:
        raise SystemExit("set TRIMTAB_VLLM to a Python that has vLLM: see docs/vllm.md")
    rng = random.Random(0)
    scenes = [scene(rng) for _ in range(chosen.scenes)]
    with (
        tempfile.TemporaryDirectory() as folder,
        vllm_serving(python, Path(folder), _FLAGS.split(), (_HIDDEN, _LAYERS)) as (port, _),
    ):
        measured = asyncio.run(measure(f"http://127.0.0.1:{port}", scenes, rng))
    rows = []
    for seed in range(chosen.seeds):
        order = random.Random(seed).sample(range(len(scenes)), len(scenes))
        mine, other = order[::2], order[1::2]
        here, there = [scenes[at] for at in mine], [scenes[at] for at in other]
        was, later = [measured[at] for at in mine], [measured[at] for at in other]
        figures = fit(here, was)
        rows.append(
            (
                errors([foretold(one, figures) for one in here], was),
                errors([foretold(one, figures) for one in there], later),
                errors(regressed(here, was, there), later),
            )
        )
        base, prefill, call, context, attention, door = figures
        print(
            f"half {seed}: an iteration {1e3 * base:.1f} ms, a prompt token {1e3 * prefill:.3f} ms, a running call "
            f"{1e3 * call:.2f} ms, a token held {1e9 * context:.0f} ns, attention {1e9 * attention:.0f} ns, "
            f"the door {1e3 * door:.1f} ms"
        )
    print(
        f"\n{len(scenes)} scenes of {_CALLS} calls, measured once; medians of {chosen.seeds} halvings "
        "(least to most)\n"
    )
    print("| | a call's latency | its first token | a scene's mean latency |\n|---|---|---|---|")
    for at, name in enumerate(("fitted half", "foretold half", "foretold by regression on its own tokens")):
        cells = []
        for column in range(3):
            values = [row[at][column] for row in rows]
            cells.append(f"{statistics.median(values):.1%} ({min(values):.1%}-{max(values):.1%})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
