"""The learned part of a step controller: how likely each candidate is to be the agent's next call, or a later one.

Plain files: `step.json` (recipes, rates, cue tables, thresholds) and `trees.npz`. Nothing is unpickled.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers.action import ACTION_NAMES, action_row
from trimtab.controllers.candidates import Candidate, find_candidates
from trimtab.controllers.cues import CueTable, cues_of
from trimtab.controllers.features import NAMES, Catalogue, feature_rows
from trimtab.controllers.scene import Scene
from trimtab.controllers.trees import Trees
from trimtab.core.errors import DataError
from trimtab.engines import read_arrays

Floats = NDArray[np.float64]
STEP_FILE, TREES_FILE = "step.json", "trees.npz"
_ENSEMBLES = ("later", "next", "action")
_ARRAYS = ("feature", "threshold", "left", "right", "value", "roots")
_LEAST = 1e-4
_PARTS = (*_ARRAYS, "depth", "base")


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where on a candidate is called; None: never.

    Eager: the calibrated chance that the call comes true is at least `eager` and it is likely now (above `gate`).
    `weights` make that chance of the log-odds of later and next, and an offset; each tool has an offset of its own
    (`offsets`), and so has each agent (`agents`; one that was not met has none).
    Exact: the chance that the whole action is the model's own.
    """

    weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
    offsets: dict[str, float] = {}
    agents: dict[str, float] = {}
    gate: float = 0.35
    eager: float | None = None
    exact: float | None = None

    def chances(self, later: Floats, following: Floats, tools: Sequence[str], agent: str) -> Floats:
        """The calibrated chance [n] that each candidate comes true; 0 where it is not likely now."""
        own = np.array([self.offsets.get(tool, 0.0) for tool in tools])
        odds = (
            self.weights[0] * log_odds(later)
            + self.weights[1] * log_odds(following)
            + self.weights[2]
            + own
            + self.agents.get(agent, 0.0)
        )
        return np.where(following > self.gate, 1.0 / (1.0 + np.exp(-odds)), 0.0)


def log_odds(chance: Floats) -> Floats:
    """Of chances, kept finite."""
    bounded = np.clip(chance, _LEAST, 1.0 - _LEAST)
    return np.log(bounded / (1.0 - bounded))


def task_digest(task: str) -> str:
    """A task's name as a controller remembers it."""
    return hashlib.blake2b(task.encode(), digest_size=8).hexdigest()


class StepFacts(msgspec.Struct, frozen=True):
    """What `step.json` holds. `tools` are digests of the declarations seen in training, by tool; `tasks` those of the
    tasks it learned from, so that nobody judges it on them unawares."""

    catalogue: Catalogue
    cues_later: CueTable
    cues_next: CueTable
    thresholds: Thresholds
    tools: dict[str, str]
    tasks: tuple[str, ...] = ()
    features: tuple[str, ...] = NAMES


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its chances of being called later in the run (no write between), and at the next turn;
    `chance` is the calibrated one that an emission now comes true."""

    candidate: Candidate
    later: float
    next: float
    chance: float
    row: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StepModel:
    """Facts and trees. Deterministic: equal conversations give bit-identical scores."""

    facts: StepFacts
    later: Trees
    next: Trees
    action: Trees

    def score(self, scene: Scene, allowed: Mapping[str, bool], agent: str) -> list[Scored]:
        """Every call that could be made now, with its chances; none that a controller made and that still stands."""
        catalogue = self.facts.catalogue
        found = list(find_candidates(catalogue.recipes, scene.pantry, allowed))
        live = [number for number, one in enumerate(found) if one.call.key not in scene.own]
        if not live:
            return []
        rows = feature_rows(scene, found, catalogue, agent, self._cues(found, scene))[live]
        later, following = self.later.probability(rows), self.next.probability(rows)
        tools = [found[at].call.name for at in live]
        chances = self.facts.thresholds.chances(later, following, tools, agent)
        scores = zip(live, later.tolist(), following.tolist(), chances.tolist(), rows, strict=True)
        return [Scored(found[at], p, q, chance, row) for at, p, q, chance, row in scores]

    def action_confidence(self, scored: Sequence[Scored]) -> float:
        """The chance that the agent's whole next action is just the candidates that are likely next."""
        if not scored:
            return 0.0
        row = action_row(
            np.array([one.next for one in scored]),
            np.array([one.later for one in scored]),
            np.array([one.row for one in scored]),
            np.array([one.candidate.recipe for one in scored], np.int32),
        )
        return 0.0 if row is None else float(self.action.probability(np.array([row], np.float32))[0])

    def _cues(self, found: Sequence[Candidate], scene: Scene) -> NDArray[np.float32]:
        told = [cues_of(candidate, scene) for candidate in found]
        tables = (self.facts.cues_later, self.facts.cues_next)
        scores = [
            [table.score(one.recipe, tokens) for table in tables]
            for one, tokens in zip(found, told, strict=True)
        ]
        return np.array(scores, np.float32)

    def save(self, folder: Path) -> None:
        """Write both files."""
        (folder / STEP_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.facts, order="sorted")))
        named = zip(_ENSEMBLES, (self.later, self.next, self.action), strict=True)
        arrays = {f"{name}.{part}": getattr(trees, part) for name, trees in named for part in _PARTS}
        np.savez_compressed(folder / TREES_FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "StepModel":
        """Read both files. Raises DataError naming file, field and remedy."""
        facts = _facts(folder / STEP_FILE)
        path = folder / TREES_FILE
        arrays = read_arrays(path)
        name, found = "$", {}
        try:
            for name in _ENSEMBLES:
                found[name] = _trees(arrays, name)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            problem = f"cannot read the trees: {error}"
            raise DataError(problem, file=str(path), field=name, remedy=_REMEDY) from error
        return cls(facts, **found)


_REMEDY = "the controller's folder is damaged: delete this version and learn it again"


def _facts(path: Path) -> StepFacts:
    try:
        facts = msgspec.json.decode(path.read_bytes(), type=StepFacts)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(problem, file=str(path), field="$", remedy=_REMEDY) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem, _, place = str(error).partition(" - at ")
        raise DataError(problem, file=str(path), field=place.strip("`") or "$", remedy=_REMEDY) from error
    if facts.features != NAMES:
        problem = "this controller was learned by another version of Trimtab"
        raise DataError(problem, file=str(path), field="features", remedy="learn it again")
    if len(facts.catalogue.rates) != len(facts.catalogue.recipes):
        raise DataError(
            "one pair is needed a recipe", file=str(path), field="catalogue.rates", remedy=_REMEDY
        )
    return facts


def _trees(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Trees:
    parts = {part: arrays[f"{name}.{part}"] for part in _ARRAYS}
    trees = Trees(**parts, depth=int(arrays[f"{name}.depth"]), base=float(arrays[f"{name}.base"]))  # type: ignore[arg-type]
    trees.check(len(ACTION_NAMES if name == "action" else NAMES))
    return trees
