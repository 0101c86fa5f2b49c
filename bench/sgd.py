"""How many service calls of task-oriented dialogues a step controller answers: `python -m bench.sgd`.

Reads `sgd` from $TRIMTAB_DATA (default ../shared/data): dialogue text and service calls, never the labelled state.
Learns on a seeded sample of the training dialogues, judges on dev; services that training never saw stand apart.
"""

import argparse
import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from bench.dialogues import read_dialogues, read_schema
from bench.step_floor import see_by_words
from trimtab.controllers import Catalogue, Pantry
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import Lived, examples_of, learn_catalogue, live_through
from trimtab.learning.step_fit import Seen, action_chances, fit_action, fit_step, is_exact, see, see_across
from trimtab.learning.step_judge import Emit, by_episode
from trimtab.learning.step_thresholds import choose_thresholds, eager_emits

PROMISE = 0.98
_FOLDS = 4
_KINDS = {"a date": r"\d{4}-\d\d-\d\d", "a time": r"\d\d:\d\d", "a number": r"\d+", "yes or no": "True|False"}


@dataclass(slots=True)
class Count:
    """Service calls of one kind: recorded, those that write among them, those that candidates held when they were
    made, those that were answered; and what was emitted and came true."""

    recorded: int = 0
    writing: int = 0
    fillable: int = 0
    covered: int = 0
    emitted: int = 0
    right: int = 0
    missing: Counter[str] = field(default_factory=Counter)

    def row(self, name: str) -> str:
        """One line of the table."""
        reading = self.recorded - self.writing
        precision = f"{100 * self.right / self.emitted:.1f}" if self.emitted else ""
        return (
            f"| {name} | {self.recorded} | {reading} | {_percent(self.fillable, reading)} | {self.emitted} "
            f"| {precision} | {_percent(self.covered, self.recorded)} | {_percent(self.covered, reading)} |"
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f}"


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learn", type=int, default=600, help="training dialogues")
    parser.add_argument("--judge", type=int, default=500, help="dev dialogues")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--floor", action="store_true")
    asked = parser.parse_args()
    folder = Path(os.environ.get("TRIMTAB_DATA", "../shared/data")) / "sgd"
    known, other = (read_schema(folder / f"{part}_schema.json.gz") for part in ("train", "dev"))
    seen = known.keys() & other.keys()
    draw = random.Random(asked.seed)
    learned = [one for one in read_dialogues(folder / "train.jsonl.gz", known) if _services(one) & seen]
    judged = list(read_dialogues(folder / "dev.jsonl.gz", other))
    learned, judged = (
        draw.sample(learned, min(asked.learn, len(learned))), draw.sample(judged, min(asked.judge, len(judged)))
    )  # fmt: skip
    clock = _Clock()
    catalogue = learn_catalogue(learned, {"sgd"})
    clock.say(f"{len(catalogue.recipes)} recipes")
    lived, tests = ([live_through(one, catalogue) for one in part] for part in (learned, judged))
    clock.say(f"{sum(len(m.keys) for one in lived for m in one.moments)} candidates")
    inner = see_across(lived, catalogue, _FOLDS, asked.seed + 1)
    held = see(fit_step(lived, catalogue, asked.seed), tests)
    clock.say("fitted")
    _slots(judged, catalogue, seen)
    _report("controller", inner, held, seen, asked.seed)
    clock.say("judged")
    if asked.floor:
        _floor(lived, tests, seen, asked.seed)
        clock.say("floor")


class _Clock:
    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def say(self, what: str) -> None:
        print(f"{time.perf_counter() - self._begun:.0f} s: {what}", file=sys.stderr, flush=True)


def _services(episode: Episode) -> set[str]:
    return {_service(tool.name) for tool in episode.tools}


def _floor(lived: Sequence[Lived], tests: Sequence[Lived], seen: set[str], seed: int) -> None:
    half = len(lived) // 2
    parts = (lived[:half], lived[half:])
    inner = [one for at in (0, 1) for one in see_by_words(parts[1 - at], parts[at], seed)]
    _report("floor: TF-IDF + logistic regression", inner, see_by_words(lived, tests, seed), seen, seed)


def _report(name: str, inner: Sequence[Seen], held: Sequence[Seen], seen: set[str], seed: int) -> None:
    """The thresholds are chosen on training dialogues across folds; what they keep elsewhere is printed."""
    limits = choose_thresholds(inner, PROMISE, PROMISE, seed)
    chances = action_chances(fit_action(inner, seed), held)
    exact = count_exact(held, chances, 2.0 if limits.exact is None else limits.exact)
    eager = count_eager(held, eager_emits(limits, limits.eager))
    for mode, limit, counts in (("exact", limits.exact, exact), ("eager", limits.eager, eager)):
        print(f"\n{name}, {mode}, threshold {limit}\n")
        print(
            "| services | calls | read-only | could be filled % | emitted | precision % | of all % | of read-only % |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for part, chosen in (("seen", seen), ("unseen", counts.keys() - seen)):
            print(total([counts[one] for one in chosen if one in counts]).row(part))
        for one in sorted(counts, key=lambda one: (one not in seen, one)):
            print(counts[one].row(one))
    missing = sum((exact[one].missing for one in seen if one in exact), Counter())
    print("\nnot among the candidates, seen services:", dict(missing.most_common(20)))
    hits, told = np.array([is_exact(one) for one in held]), []
    for percent in (98, 95, 90, 80, 70):
        sure = chances >= percent / 100
        told.append(f"{percent}: {hits[sure].sum()} of {sure.sum()}")
    print("exact, at thresholds picked by hand:", "; ".join(told), flush=True)


def total(counts: Sequence[Count]) -> Count:
    """The sum of several."""
    made = Count()
    for one in counts:
        for name in ("recorded", "writing", "fillable", "covered", "emitted", "right"):
            setattr(made, name, getattr(made, name) + getattr(one, name))
    return made


def count_exact(held: Sequence[Seen], chances: np.ndarray, limit: float) -> dict[str, Count]:
    """By service, under exact answers. An answer counts for the service it calls, whatever was recorded."""
    counts: dict[str, Count] = defaultdict(Count)
    for one, chance in zip(held, chances.tolist(), strict=True):
        _recorded(one, counts)
        if chance >= limit:
            of, right = counts[_service(one.moment.tools[int(np.argmax(one.next))])], is_exact(one)
            of.emitted += 1
            of.right += right
            of.covered += right
    return counts


def count_eager(held: Sequence[Seen], emits: Emit) -> dict[str, Count]:
    """By service, under eager grounding: an emission is right where the call comes with no write between."""
    counts: dict[str, Count] = defaultdict(Count)
    for moments in by_episode(held).values():
        emitted: set[str] = set()
        for one in moments:
            for at, (key, tool) in enumerate(zip(one.moment.keys, one.moment.tools, strict=True)):
                if key not in emitted and emits(one, at):
                    emitted.add(key)
                    counts[_service(tool)].emitted += 1
                    counts[_service(tool)].right += bool(one.moment.later[at])
            _recorded(one, counts)
            for call in one.lived.episode.turns[one.moment.reply].calls:
                counts[_service(call.name)].covered += call.key in emitted
                if call.name not in one.lived.episode.read_only:
                    emitted.clear()
    return counts


def _recorded(one: Seen, counts: dict[str, Count]) -> None:
    episode, keys = one.lived.episode, set(one.moment.keys)
    for call in episode.turns[one.moment.reply].calls:
        of = counts[_service(call.name)]
        of.recorded += 1
        of.fillable += call.key in keys
        if call.name not in episode.read_only:
            of.writing += 1
        elif call.key not in keys:
            of.missing[f"{call.name}({', '.join(sorted(call.arguments))})"] += 1


def _slots(judged: Sequence[Episode], catalogue: Catalogue, seen: set[str]) -> None:
    """Of the arguments of reading calls, which stand among the values of the dialogue before, by what they are."""
    known = tuple(
        sorted(
            {option for recipe in catalogue.recipes for part in recipe.ingredients for option in part.options}
        )
    )
    closed = {(tool.name, name): "enum" in slot for one in judged for tool in one.tools
              for name, slot in tool.parameters["properties"].items()}  # type: ignore[union-attr]  # fmt: skip
    stands: Counter[tuple[str, str]] = Counter()
    recorded: Counter[tuple[str, str]] = Counter()
    for example in examples_of(judged):
        pantry = Pantry(example.values)
        said = (*example.values, *chain(*pantry.spoken().values()), *pantry.said(known))
        texts = {value.text for value in said if not value.is_whole}
        part = "seen" if _service(example.call.name) in seen else "unseen"
        for name, value in example.call.arguments.items():
            kind = _kind(str(value), closed.get((example.call.name, name), False))
            recorded[part, kind] += 1
            stands[part, kind] += value in texts
        recorded[part, "whole call"] += 1
        stands[part, "whole call"] += all(value in texts for value in example.call.arguments.values())
    print("| what an argument is | seen: recorded | stands in the dialogue % | unseen: recorded | stands % |")
    print("|---|---|---|---|---|")
    for kind in sorted({kind for _, kind in recorded}):
        told = (
            f"{recorded[p, kind]} | {_percent(stands[p, kind], recorded[p, kind])}"
            for p in ("seen", "unseen")
        )
        print(f"| {kind} | {' | '.join(told)} |")


def _kind(value: str, closed: bool) -> str:  # noqa: FBT001 - a fact
    for kind, form in _KINDS.items():
        if re.fullmatch(form, value):
            return kind
    return "one of a closed list" if closed else "a name"


def _service(tool: str) -> str:
    return tool.partition(".")[0]


if __name__ == "__main__":
    main()
