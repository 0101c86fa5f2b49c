"""What one decision of a step controller takes, on recorded conversations, by how long they are.

    python -m bench.step_speed [--workflow retail ...] [--runs 40] [--profile]

Reads `$TRIMTAB_DATA/tau2_traces` (default `../shared/data`). A controller is learned for each workflow first (without
the folds that judge it: speed does not depend on them); then every reply of some recorded runs is decided anew, one
thread, from the bare request body on and from the decoded conversation on. CPU milliseconds. Prints Markdown.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from trimtab.controllers import Conversation, StepModel, Thresholds, tool_digests
from trimtab.controllers.conversation import read_conversation
from trimtab.controllers.step import StepController
from trimtab.learning.episodes import Episode, read_episodes
from trimtab.learning.moments import learn_catalogue, live_through
from trimtab.learning.step_fit import assemble, fit_action, fit_step, see

WORKFLOWS = ("airline", "retail", "telecom")
BINS = {"1-10": 10, "11-20": 20, "21-30": 30, "31-50": 50, "51 and more": 10**9, "all": 10**9}
SEED = 7


@dataclass(frozen=True, slots=True)
class Took:
    """One decision: the turns before it, whether it was answered, CPU seconds of its parts."""

    turns: int
    answered: bool
    read_seconds: float
    decide_seconds: float


def learned(episodes: Sequence[Episode]) -> StepModel:
    """A model of everything."""
    teachers = [one for one in episodes if one.reward is not None and one.reward >= 1.0]
    catalogue = learn_catalogue(teachers, {one.agent for one in episodes})
    lived = [live_through(one, catalogue) for one in teachers]
    fitted = fit_step(lived, catalogue, SEED)
    action = fit_action(see(fitted, lived), SEED)
    tools = tool_digests(tool for episode in episodes for tool in episode.tools)
    return assemble(fitted, action, Thresholds(eager=0.9, exact=0.95), tools)


def body_of(conversation: Conversation) -> bytes:
    """The request that would bring this conversation."""
    messages = [
        {
            "role": turn.speaker,
            "content": turn.text,
            "tool_call_id": turn.tool_call_id,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": msgspec.json.encode(call.arguments).decode(),
                    },
                }
                for call in turn.calls
            ]
            or None,
        }
        for turn in conversation.turns
    ]
    tools = [
        {"type": "function", "function": {"name": tool.name, "parameters": tool.parameters}}
        for tool in conversation.tools
    ]
    return msgspec.json.encode({"model": "m", "messages": messages, "tools": tools})


def measured(controller: StepController, episode: Episode, eager: bool) -> Iterable[Took]:
    """Every reply of one run, in order, as a gateway would meet them."""
    for number in episode.calls:
        conversation = Conversation(episode.turns[:number], episode.tools)
        body = body_of(conversation)
        begun = time.process_time()
        read = read_conversation(body, episode.read_only)
        halfway = time.process_time()
        assert read is not None
        answer = controller.decide(read, agent=episode.agent, eager=eager)
        ended = time.process_time()
        yield Took(number, not answer.abstained, halfway - begun, ended - halfway)


def table(workflow: str, found: Sequence[Took]) -> Iterable[str]:
    """The rows of one workflow."""
    by_bin: dict[str, list[Took]] = {name: [] for name in BINS}
    for took in found:
        by_bin[next(name for name, most in BINS.items() if took.turns <= most)].append(took)
        by_bin["all"].append(took)
    for name, group in by_bin.items():
        if not group:
            continue
        decide = np.array([took.decide_seconds for took in group]) * 1000
        read = np.array([took.read_seconds for took in group]) * 1000
        answered = sum(took.answered for took in group) / len(group)
        p50, p95 = np.percentile(decide, (50, 95))
        yield (
            f"| {workflow} | {name} | {len(group)} | {np.percentile(read, 50):.2f} | {p50:.2f} | {p95:.2f} "
            f"| {decide.max():.2f} | {answered:.0%} |"
        )


def chosen_runs(episodes: Sequence[Episode], runs: int) -> list[Episode]:
    """Some of them, the same for every call."""
    return random.Random(SEED).sample(list(episodes), min(runs, len(episodes)))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workflow", action="append", choices=WORKFLOWS)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument(
        "--keep", type=Path, help="keep the learned models here, and use those that are there"
    )
    parser.add_argument("--exact", action="store_true", help="whole actions instead of eager calls")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    return parser.parse_args()


def model_of(workflow: str, episodes: Sequence[Episode], keep: Path | None) -> StepModel:
    if keep is None:
        return learned(episodes)
    folder = keep / workflow
    if not folder.exists():
        model = learned(episodes)
        folder.mkdir(parents=True)
        model.save(folder)
    return StepModel.load(folder)


def main() -> None:
    asked = options()
    path = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "tau2_traces" / "runs.jsonl.gz"
    print("| workflow | turns | decisions | read p50 | decide p50 | decide p95 | worst | answered |")
    print("|---|---|---|---|---|---|---|---|")
    for workflow in asked.workflow or WORKFLOWS:
        episodes = read_episodes(path, workflow)
        controller = StepController(model_of(workflow, episodes, asked.keep))
        runs = chosen_runs(episodes, asked.runs)
        list(measured(controller, runs[0], not asked.exact))
        profiler = cProfile.Profile()
        if asked.profile:
            profiler.enable()
        found = [took for run in runs for took in measured(controller, run, not asked.exact)]
        profiler.disable()
        print(*table(workflow, found), sep="\n", flush=True)
        if asked.profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(28)


if __name__ == "__main__":
    main()
