"""What a step controller would have seen before each recorded reply, and what became of each call it could make.

A candidate is a hit where the agent made this very call at this reply or later, with no writing call in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import (
    CUES,
    NAMES,
    Catalogue,
    Recipe,
    Scene,
    Value,
    cues_of,
    feature_rows,
    find_candidates,
    values_of_turn,
)
from trimtab.learning.episodes import Episode
from trimtab.learning.recipes import Example, learn_recipes

KNOWN = len(NAMES) - CUES
LEAST_RATE = 0.02


@dataclass(frozen=True, slots=True)
class Moment:
    """The candidates before one reply. `rows` [n, KNOWN] are features without cues; `later` and `next` [n] labels."""

    reply: int
    keys: tuple[str, ...]
    tools: tuple[str, ...]
    recipes: NDArray[np.int32]
    rows: NDArray[np.float32]
    cues: tuple[frozenset[str], ...]
    later: NDArray[np.bool_]
    next: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lived:
    """An episode with its moments, one for each call a model was asked for."""

    episode: Episode
    moments: tuple[Moment, ...]


def standing_hits(episode: Episode) -> list[dict[str, int]]:
    """For each turn: the read-only calls made from here on before any writing one, with the turn that makes them."""
    read_only = episode.read_only
    ahead: dict[str, int] = {}
    found: list[dict[str, int]] = []
    for number in range(len(episode.turns) - 1, -1, -1):
        for call in reversed(episode.turns[number].calls):
            ahead = {**ahead, call.key: number} if call.name in read_only else {}
        found.append(ahead)
    return found[::-1]


def examples_of(episodes: Iterable[Episode]) -> list[Example]:
    """Every read-only call of the agents with the values that stood before it."""
    found = []
    for episode in episodes:
        pantry: list[Value] = []
        names: dict[str, str] = {}
        for number, turn in enumerate(episode.turns):
            before = tuple(pantry) if turn.calls else ()
            for call in turn.calls:
                names[call.id] = call.name
                if call.name in episode.read_only:
                    found.append(Example(call, before, episode.task))
            pantry.extend(values_of_turn(turn, number, names.get(turn.tool_call_id, "")))
    return found


def learn_catalogue(teachers: Sequence[Episode], agents: Iterable[str]) -> Catalogue:
    """Recipes from the teachers' calls, without those that copy nothing of this run or hardly ever come true."""
    tools = tuple(sorted({tool.name for episode in teachers for tool in episode.tools}))
    recipes = tuple(
        recipe
        for recipe in learn_recipes(examples_of(teachers))
        if not recipe.ingredients or any(not part.constant for part in recipe.ingredients)
    )
    rates = recipe_rates(teachers, recipes)
    kept = [recipe for recipe, (later, _) in zip(recipes, rates, strict=True) if later >= least_rate(recipe)]
    return Catalogue(tools, tuple(sorted(set(agents))), tuple(kept), tuple((0.0, 0.0) for _ in kept))


def least_rate(recipe: Recipe) -> float:
    """How often its candidates must come true: where many arguments are free, each has two values to choose from."""
    copied = sum(not part.constant for part in recipe.ingredients)
    return LEAST_RATE / 2 ** max(0, copied - 2) if recipe.bound == "free" else LEAST_RATE


def recipe_rates(episodes: Iterable[Episode], recipes: Sequence[Recipe]) -> list[tuple[float, float]]:
    """For each recipe, the share of its candidates that were called later, and at the next reply."""
    counts = np.zeros((len(recipes), 3))
    for episode in episodes:
        allowed = dict.fromkeys(episode.read_only, True)
        ahead, scene, replies = standing_hits(episode), Scene(episode.read_only), set(episode.calls)
        for number, turn in enumerate(episode.turns):
            if number in replies:
                for one in find_candidates(recipes, scene.pantry, allowed):
                    made = ahead[number].get(one.call.key)
                    counts[one.recipe] += (made is not None, made == number, 1)
            scene.add(turn)
    return [(later / max(n, 1), following / max(n, 1)) for later, following, n in counts]


def live_through(episode: Episode, catalogue: Catalogue) -> Lived:
    """Walk one recorded conversation and note each moment."""
    read_only = episode.read_only
    allowed: Mapping[str, bool] = dict.fromkeys(read_only, True)
    ahead, scene, replies = standing_hits(episode), Scene(read_only), set(episode.calls)
    moments = []
    for number, turn in enumerate(episode.turns):
        if number in replies:
            moments.append(_moment(episode, catalogue, scene, allowed, number, ahead[number]))
        scene.add(turn)
    return Lived(episode, tuple(moments))


def _moment(
    episode: Episode,
    catalogue: Catalogue,
    scene: Scene,
    allowed: Mapping[str, bool],
    number: int,
    ahead: Mapping[str, int],
) -> Moment:
    found = list(find_candidates(catalogue.recipes, scene.pantry, allowed))
    rows = feature_rows(scene, found, catalogue, episode.agent, np.zeros((len(found), 2), np.float32))
    return Moment(
        reply=number,
        keys=tuple(one.call.key for one in found),
        tools=tuple(one.call.name for one in found),
        recipes=np.array([one.recipe for one in found], np.int32),
        rows=rows[:, :KNOWN],
        cues=tuple(cues_of(one, scene) for one in found),
        later=np.array([one.call.key in ahead for one in found], bool),
        next=np.array([ahead.get(one.call.key) == number for one in found], bool),
    )
