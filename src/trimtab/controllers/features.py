"""What the step scorer knows of each candidate: where its values come from, what was said, what was called before.

Nothing here knows a tool by name: a tool and a recipe are numbers, their recorded rates, and what the schema tells.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers.candidates import Candidate, Recipe
from trimtab.controllers.scene import Scene
from trimtab.controllers.values import Value

NAMES = (
    *("rate_later", "rate_next", "tool", "recipe", "of_recipe", "of_tool", "rank", "candidates"),
    *("age_newest", "age_oldest", "said", "said_last", "replied", "said_of_tool"),
    *("index", "length", "row_made", "row_gap", "row_left", "row_said"),
    *("calls_of", "calls_of_since", "calls_since", "user_turns", "writes", "reply_turns", "turns"),
    *("speaker", "last_tool", "tool_before", "failed", "agent", "last_user_length", "occurrences"),
    *("made", "since_made", "repeated", "calls", "standing", "fresh", "same_tool"),
    *("cue_later", "cue_next", "lead_later", "lead_next"),
)
CUES = 4
_SPEAKERS = {"user": 0, "tool": 1, "assistant": 2}
UNKNOWN = -1
ALONE = 9.0


class Catalogue(msgspec.Struct, frozen=True):
    """What learning fixed of a workflow: its tools and agents in order, its recipes, and for each recipe how often
    its candidates were called later in the run and at the very next turn."""

    tools: tuple[str, ...]
    agents: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    rates: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class _Row:
    """What is known of the candidates copied from one list."""

    made: int = 0
    last: int = UNKNOWN
    count: int = 0
    said: int = 0


def feature_rows(
    scene: Scene, found: Sequence[Candidate], catalogue: Catalogue, agent: str, cues: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One row a candidate, [n, len(NAMES)]. `cues` [n, 2] are the cue tables' scores: called later, called next."""
    if not found:
        return np.zeros((0, len(NAMES)), np.float32)
    around = _Around(scene, found, catalogue, agent)
    known = np.array([around.row(candidate) for candidate in found], np.float32)
    leads = lead_columns([candidate.call.name for candidate in found], cues)
    return np.concatenate([known, cues, leads], axis=1)


def lead_columns(tools: Sequence[str], cues: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each candidate's cues are ahead of the best other candidate of its tool."""
    names = np.array(tools)
    leads = np.full_like(cues, ALONE)
    for name in set(names.tolist()):
        at = np.flatnonzero(names == name)
        if len(at) < 2:
            continue
        order = np.sort(cues[at], axis=0)
        best, second = order[-1], order[-2]
        leads[at] = cues[at] - np.where(cues[at] == best, second, best)
    return leads


class _Around:
    """What all candidates of one moment share."""

    def __init__(self, scene: Scene, found: Sequence[Candidate], catalogue: Catalogue, agent: str) -> None:
        self._scene, self._catalogue = scene, catalogue
        self._tools = {name: number for number, name in enumerate(catalogue.tools)}
        self._of_recipe = Counter(candidate.recipe for candidate in found)
        self._of_tool = Counter(candidate.call.name for candidate in found)
        self._ranks: Counter[int] = Counter()
        self._rows: dict[tuple[int, object], _Row] = defaultdict(_Row)
        self._said: Counter[str] = Counter()
        for candidate in found:
            self._count(candidate)
        last = self._tool(-1)
        self._moment = (
            *(scene.calls_since, scene.user_turns, scene.writes, scene.reply_turns, scene.turns),
            *(_SPEAKERS.get(scene.last_speaker, 3), last, self._tool(-2), scene.last_failed),
            *(catalogue.agents.index(agent) if agent in catalogue.agents else UNKNOWN, len(scene.last_user)),
        )
        self._tail = (len(scene.sequence), len(scene.standing))
        self._last = last
        self._all = len(found)

    def _tool(self, place: int) -> int:
        sequence = self._scene.sequence
        return self._tools.get(sequence[place], UNKNOWN) if len(sequence) >= -place else UNKNOWN

    def _count(self, candidate: Candidate) -> None:
        said = any(value.text.lower() in self._scene.said for value in candidate.values)
        self._said[candidate.call.name] += said
        value = _listed(candidate.values)
        if value is None:
            return
        row = self._rows[candidate.recipe, value.row]
        row.count += 1
        row.said += said
        if candidate.call.key in self._scene.made:
            row.made += 1
            row.last = max(row.last, value.index)

    def row(self, candidate: Candidate) -> list[float]:
        """The features of one candidate, as NAMES without the cues."""
        scene, call, values = self._scene, candidate.call, candidate.values
        number = candidate.recipe
        rank = self._ranks[number]
        self._ranks[number] += 1
        newest = max((value.turn for value in values), default=0)
        oldest = min((value.turn for value in values), default=0)
        tool = self._tools.get(call.name, UNKNOWN)
        return [
            *self._catalogue.rates[number],
            *(tool, number, self._of_recipe[number], self._of_tool[call.name], rank, self._all),
            *(scene.turns - newest, scene.turns - oldest, *self._heard(values), self._said[call.name]),
            *self._ranked(candidate),
            *(scene.calls_of[call.name], scene.calls_of_since[call.name], *self._moment),
            max((scene.occurrences[value.text] for value in values), default=0),
            *(
                scene.made[call.key],
                self._since_made(call.key),
                scene.repeats if call.key == scene.last_key else 0,
            ),
            *(*self._tail, newest == scene.turns - 1, tool == self._last),
        ]

    def _since_made(self, key: str) -> int:
        """Turns since the standing call was made."""
        made = self._scene.standing.get(key)
        return UNKNOWN if made is None else self._scene.turns - made

    def _heard(self, values: Sequence[Value]) -> tuple[float, float, float]:
        """The share of the values the user said, said last, the assistant said last."""
        scene, count = self._scene, len(values) or 1
        heard = [value.text.lower() for value in values]
        return (
            sum(text in scene.said for text in heard) / count,
            sum(text in scene.said_last for text in heard) / count,
            sum(text in scene.replied for text in heard) / count,
        )

    def _ranked(self, candidate: Candidate) -> tuple[float, ...]:
        value = _listed(candidate.values)
        if value is None:
            return (UNKNOWN, 0, 0, 0, 0, 0)
        row = self._rows[candidate.recipe, value.row]
        gap = value.index - row.last
        return (value.index, value.length, row.made, gap, row.count - row.made, row.said)


def _listed(values: Sequence[Value]) -> Value | None:
    """The last value that stands in a list with others."""
    return next((value for value in reversed(values) if value.length > 1), None)
