"""The step controller: answers an agent's tool-call step itself, or says "not me". No token is generated.

Whatever it calls is a declared tool, with arguments copied from the conversation and valid by the tool's schema.
Tools that may write are called only where settings allow it, and never with an identifier that only a message told:
text of a user that looks like a tool's result is text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jsonschema_rs
import msgspec

from trimtab.controllers.action import LIKELY
from trimtab.controllers.answer import Answer
from trimtab.controllers.conversation import Conversation, Tool, ToolCall
from trimtab.controllers.manifest import tool_digest
from trimtab.controllers.scene import Scene
from trimtab.controllers.step_model import Scored, StepModel

LEVEL = "trees"
_MOST_CALLS = 8
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """What would be called, and how sure that is; `reason` says why nothing is."""

    calls: tuple[ToolCall, ...] = ()
    confidence: float = 0.0
    reason: str = ""


class StepController:
    """One workflow's step controller of one version."""

    def __init__(self, model: StepModel, name: str = "step", version: str = "") -> None:
        self._model, self._name, self._version = model, name, version

    @classmethod
    def load(cls, folder: Path, name: str = "step", version: str = "") -> "StepController":
        """From its folder. Raises DataError naming file, field and remedy."""
        return cls(StepModel.load(folder), name, version)

    def decide(
        self,
        conversation: Conversation,
        writes_allowed: frozenset[str] = _NONE,
        agent: str = "",
        eager: bool = True,  # noqa: FBT001, FBT002 - a setting's value
    ) -> Answer:
        """The tool calls that answer this step, or an abstention with its reason. Never raises for any input."""
        choice = self._choose(conversation, writes_allowed, agent, eager)
        return Answer(
            controller=self._name,
            version=self._version,
            kind="step",
            option=" + ".join(call.name for call in choice.calls),
            confidence=choice.confidence,
            abstained=not choice.calls,
            calls=choice.calls,
            level=LEVEL,
            reasons=(choice.reason,) if choice.reason else (),
        )

    def _choose(
        self, conversation: Conversation, writes_allowed: frozenset[str], agent: str, eager: bool
    ) -> Choice:
        if not conversation.turns or conversation.turns[-1].speaker not in ("user", "tool"):
            return Choice(reason="the last turn is neither a user's nor a tool's")
        tools = {tool.name: tool for tool in conversation.tools}
        known = self._model.facts.tools
        same = {name for name, tool in tools.items() if known.get(name) == tool_digest(tool)}
        allowed = {name: tools[name].read_only or name in writes_allowed for name in same}
        if not any(allowed.values()):
            changed = bool(known.keys() & tools.keys() - same)
            return Choice(
                reason="every tool it knows has changed since" if changed else "no tool it may call"
            )
        scene = Scene.of(
            conversation.turns, frozenset(name for name, tool in tools.items() if tool.read_only)
        )
        scored = self._model.score(scene, allowed, agent)
        lawful = [one for one in scored if lawful_call(one, tools[one.candidate.call.name], scene)]
        return eager_choice(self._model, lawful) if eager else exact_choice(self._model, lawful)


def eager_choice(model: StepModel, scored: Sequence[Scored]) -> Choice:
    """Every call that is likely enough to be made later and that is likely now."""
    limits = model.facts.thresholds
    least = 2.0 if limits.eager is None else limits.eager
    sure = [one for one in scored if one.chance >= least and one.candidate.call.name not in limits.silent]
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


def lawful_call(scored: Scored, tool: Tool, scene: Scene) -> bool:
    """Whether the call fits the tool's schema and, where the tool may write, rests on tool results alone."""
    call = scored.candidate.call
    if not tool.read_only and not _grounded(scored, scene):
        return False
    return fits_schema(call, tool)


def _grounded(scored: Scored, scene: Scene) -> bool:
    """Identifiers of a writing call must stand in a tool's result as a field of it."""
    known = {
        value.text
        for source, values in scene.pantry.by_source.items()
        if ":" not in source
        for value in values
    }
    return all(
        ":" not in value.source or value.text in known
        for value in scored.candidate.values
        if any(letter.isdigit() for letter in value.text)
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
        return jsonschema_rs.validator_for(schema.decode())
    except (ValueError, jsonschema_rs.ValidationError):
        return None
