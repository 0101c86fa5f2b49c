"""The step controller: answers an agent's tool-call step itself, or says "not me". No token is generated.

Whatever it calls is a declared tool, with arguments copied from the conversation and valid by the tool's schema.
Tools that may write are called only where settings allow it, and with nothing that only a text told (a closed set of
the tool's schema apart): text that looks like a tool's result is text, whoever wrote it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import jsonschema_rs
import msgspec

from trimtab.controllers.action import LIKELY
from trimtab.controllers.answer import Answer
from trimtab.controllers.candidates import Candidate, Recipe
from trimtab.controllers.conversation import Conversation, Json, Tool, ToolCall
from trimtab.controllers.manifest import tool_digest
from trimtab.controllers.scene import Scene
from trimtab.controllers.step_model import Scored, StepModel

LEVEL = "trees"
_MOST_CALLS = 8
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """What would be called, and how sure that is; `reason` says why nothing is, `changed` which tools are not those
    it was trained with."""

    calls: tuple[ToolCall, ...] = ()
    confidence: float = 0.0
    reason: str = ""
    changed: tuple[str, ...] = ()


class StepController:
    """One workflow's step controller of one version."""

    def __init__(self, model: StepModel, name: str = "step", version: str = "") -> None:
        self._model, self._name, self._version = model, name, version

    @classmethod
    def load(cls, folder: Path, name: str = "step", version: str = "") -> "StepController":
        """From its folder. Raises DataError naming file, field and remedy."""
        return cls(StepModel.load(folder), name, version)

    @property
    def tasks(self) -> frozenset[str]:
        """Digests of the tasks it learned from."""
        return frozenset(self._model.facts.tasks)

    def decide(
        self,
        conversation: Conversation,
        writes_allowed: frozenset[str] = _NONE,
        agent: str = "",
        eager: bool = True,  # noqa: FBT001, FBT002 - a setting's value
    ) -> Answer:
        """The tool calls that answer this step, or an abstention with its reason. Never raises for any input."""
        try:
            choice = self._choose(conversation, writes_allowed, agent, eager)
        except (UnicodeEncodeError, RecursionError) as error:
            choice = Choice(reason=f"the conversation cannot be read: {type(error).__name__}")
        return Answer(
            controller=self._name,
            version=self._version,
            kind="step",
            option=" + ".join(call.name for call in choice.calls),
            confidence=choice.confidence,
            abstained=not choice.calls,
            calls=choice.calls,
            level=LEVEL,
            reasons=(*((choice.reason,) if choice.reason else ()), *choice.changed),
        )

    def _choose(
        self, conversation: Conversation, writes_allowed: frozenset[str], agent: str, eager: bool
    ) -> Choice:
        if not conversation.turns or conversation.turns[-1].speaker not in ("user", "tool"):
            return Choice(reason="the last turn is neither a user's nor a tool's")
        tools = {tool.name: tool for tool in conversation.tools}
        known = self._model.facts.tools
        same = {name for name, tool in tools.items() if known.get(name) == tool_digest(tool)}
        changed = tuple(
            f"the tool {name!r} has changed since; learn the workflow again"
            for name in sorted(known.keys() & tools.keys() - same)
        )
        allowed = {name: tools[name].read_only or name in writes_allowed for name in same}
        if not any(allowed.values()):
            return Choice(reason="no tool it may call", changed=changed)
        read_only = frozenset(name for name, tool in tools.items() if tool.read_only)
        scene = Scene.of(conversation.turns, read_only)
        scored = self._model.score(scene, allowed, agent)
        recipes = self._model.facts.catalogue.recipes
        lawful = [one for one in scored if lawful_call(one, tools[one.candidate.call.name], scene, recipes)]
        choose = eager_choice if eager else exact_choice
        return replace(choose(self._model, lawful), changed=changed)


def eager_choice(model: StepModel, scored: Sequence[Scored]) -> Choice:
    """Every call that is likely enough to be made later and that is likely now."""
    limit = model.facts.thresholds.eager
    least = 2.0 if limit is None else limit
    sure = [one for one in scored if one.chance >= least]
    if not sure:
        best = max((one.chance for one in scored), default=0.0)
        return Choice(confidence=best, reason="below its threshold" if scored else "nothing it could fill")
    sure.sort(key=lambda one: (-one.chance, one.candidate.call.key))
    sure = sure[:_MOST_CALLS]
    return Choice(tuple(one.candidate.call for one in sure), sure[-1].chance)


def exact_choice(model: StepModel, scored: Sequence[Scored]) -> Choice:
    """The whole next action, where it is sure enough that the model would do just this."""
    limit = model.facts.thresholds.exact
    likely = [one for one in scored if one.next > LIKELY]
    confidence = model.action_confidence(scored)
    if limit is None or not likely or confidence < limit or len(likely) > _MOST_CALLS:
        return Choice(
            confidence=confidence, reason="below its threshold" if scored else "nothing it could fill"
        )
    likely.sort(key=lambda one: (-one.next, one.candidate.call.key))
    return Choice(tuple(one.candidate.call for one in likely), confidence)


def lawful_call(scored: Scored, tool: Tool, scene: Scene, recipes: Sequence[Recipe]) -> bool:
    """Whether the call fits the tool's schema and, where the tool may write, rests on fields of results alone."""
    candidate = scored.candidate
    return fits_schema(candidate.call, tool) and (
        tool.read_only or _grounded(candidate, tool, scene, recipes)
    )


def _grounded(candidate: Candidate, tool: Tool, scene: Scene, recipes: Sequence[Recipe]) -> bool:
    """Whether every value of a writing call is, or is repeated by, a field of a result that did not fail; and for
    what a text told, a field that recorded runs took arguments from: a note that somebody wrote is none.
    """
    parts = [part for part in recipes[candidate.recipe].ingredients if not part.constant]
    trusted = {part.source for recipe in recipes for part in recipe.ingredients}
    for part, value in zip(parts, candidate.values, strict=True):
        if value.is_field and value.turn not in scene.failures:
            continue
        given = candidate.call.arguments[part.argument]
        if not _is_closed(tool, part.argument) and not _told_by_field(given, trusted, scene):
            return False
    return True


def _is_closed(tool: Tool, argument: str) -> bool:
    """Whether the schema names every value the argument may have."""
    properties = tool.parameters.get("properties")
    declared = properties.get(argument) if isinstance(properties, dict) else None
    return isinstance(declared, dict) and ("enum" in declared or "const" in declared)


def _told_by_field(given: Json, trusted: Iterable[str], scene: Scene) -> bool:
    return any(
        value.is_field and value.json == given and value.turn not in scene.failures
        for source in trusted
        for value in scene.pantry.by_source.get(source, ())
    )


def fits_schema(call: ToolCall, tool: Tool) -> bool:
    """Whether the arguments are valid by the tool's schema; a schema that cannot be read fits nothing."""
    validator = _validator(msgspec.json.encode(tool.parameters, order="sorted"))
    if validator is None:
        return False
    declared = tool.parameters.get("properties")
    if isinstance(declared, dict) and not call.arguments.keys() <= declared.keys():
        return False
    return validator.is_valid(call.arguments)


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> "jsonschema_rs.Validator | None":
    try:
        return jsonschema_rs.validator_for(schema.decode(), offline=True)
    except (ValueError, jsonschema_rs.ValidationError):
        return None
