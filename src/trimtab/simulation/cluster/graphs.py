"""Synthetic fan-out graphs, labelled so: recorded traces are nearly chains, so these stand in for wide workflows.

`research` is the shape of the research example (plan, sources read side by side, write, a critic); `layered` draws
random layered graphs. Sizes are drawn, not recorded.
"""

import math
import random

from trimtab.simulation.cluster.plans import RunPlan, SessionPlan, StepPlan, linked

_SYSTEM_TOKENS = 600
_TOOL_SECONDS = 0.5
_KINDS = (("look", 1_500, 80), ("read", 16_000, 250), ("think", 3_000, 1_000))


def research(count: int, seed: int) -> list[SessionPlan]:
    """Sessions of one run: a plan; 2 to 12 branches, each a search and some documents read one after another; a
    text; a critic, who one time in three asks for a second round.
    """
    rng = random.Random(seed)
    return [SessionPlan((_research_run(rng),)) for _ in range(count)]


def layered(count: int, seed: int) -> list[SessionPlan]:
    """Sessions of one run: 3 to 7 layers of 1 to 8 steps, each behind one to three of the layer before."""
    rng = random.Random(seed)
    return [SessionPlan((_layered_run(rng),)) for _ in range(count)]


def wide(count: int, seed: int) -> list[SessionPlan]:
    """Sessions of one run: 20 to 60 side by side, most of them one short step, one in twelve a chain of 6 to 12."""
    rng = random.Random(seed)
    return [SessionPlan((_wide_run(rng),)) for _ in range(count)]


def _wide_run(rng: random.Random) -> RunPlan:
    steps: list[StepPlan] = []
    plan, ends = _add(steps, rng, "plan", 1_500, 250), []
    for _ in range(rng.randint(20, 60)):
        if rng.random() > 1 / 12:
            ends.append(_add(steps, rng, "look", 4_000, 200, (plan,)))
            continue
        end = plan
        for _ in range(rng.randint(6, 12)):
            end = _add(steps, rng, "dig", 4_000, 200, (end,))
        ends.append(end)
    _add(steps, rng, "write", 2_500 + 200 * len(ends), 900, tuple(ends))
    return linked("wide", steps)


def _research_run(rng: random.Random) -> RunPlan:
    steps: list[StepPlan] = []
    joined = _add(steps, rng, "plan", 1_500, 250)
    for _ in range(1 if rng.random() > 1 / 3 else 2):
        ends = tuple(_branch(steps, rng, joined) for _ in range(_skewed(rng, 2, 12)))
        written = _add(steps, rng, "write", 2_500 + 500 * len(ends), 900, ends)
        joined = _add(steps, rng, "critic", 4_000, 150, (written,))
    return linked("research", steps)


def _branch(steps: list[StepPlan], rng: random.Random, parent: int) -> int:
    end = _add(steps, rng, "search", 1_000, 80, (parent,))
    for _ in range(_skewed(rng, 1, 8)):
        end = _add(steps, rng, "read", 14_000, 300, (end,))
    return end


def _layered_run(rng: random.Random) -> RunPlan:
    steps: list[StepPlan] = []
    before = [_add(steps, rng, "begin", 1_500, 200)]
    for _ in range(rng.randint(3, 7)):
        layer = []
        for _ in range(_skewed(rng, 1, 8)):
            parents = tuple(sorted(rng.sample(before, min(len(before), rng.randint(1, 3)))))
            layer.append(_add(steps, rng, *rng.choice(_KINDS), parents))
        before = layer
    _add(steps, rng, "end", 5_000, 500, tuple(before))
    return linked("layered", steps)


def _add(
    steps: list[StepPlan],
    rng: random.Random,
    name: str,
    tokens: int,
    output: int,
    parents: tuple[int, ...] = (),
) -> int:
    steps.append(
        StepPlan(
            step=name,
            input_tokens=_SYSTEM_TOKENS + _around(rng, tokens),
            output_tokens=_around(rng, output),
            context=len(steps),
            system=f"synthetic.{name}",
            system_tokens=_SYSTEM_TOKENS,
            gap_seconds=_TOOL_SECONDS if parents else 0.0,
            parents=parents,
        )
    )
    return len(steps) - 1


def _around(rng: random.Random, median: int) -> int:
    return max(1, round(median * math.exp(rng.gauss(0.0, 0.4))))


def _skewed(rng: random.Random, least: int, most: int) -> int:
    """Often near `least`, now and then near `most` (bounded Pareto, shape 1.1)."""
    return min(most, int(least * rng.paretovariate(1.1)))
