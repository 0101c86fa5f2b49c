"""Steps that ask a person where the models are not sure: the cheap reply as a question, the answer as the reply.

A node that is answered runs again from its start, as LangGraph has it; the call that asked is found by its name then,
and no model is asked again.
"""

from collections.abc import Collection, Mapping

import msgspec

from trimtab.core.errors import Forbidden, Unsure
from trimtab.store import Database, workflow_questions
from trimtab.wire import read_reply
from trimtab.workflows.batch import patiently
from trimtab.workflows.place import CallName
from trimtab.workflows.question import ask

_json = msgspec.json.Encoder()
Question = dict[str, object]


class UnsureSteps:
    """Constructed by `app/` with the workflows that ask (`unsure = "ask"`)."""

    def __init__(self, database: Database, workflows: Collection[str]) -> None:
        self._database, self._workflows = database, frozenset(workflows)

    def asks(self, workflow: str) -> bool:
        """Whether a workflow's steps ask a person."""
        return workflow in self._workflows

    async def decided(self, name: CallName) -> bytes:
        """The reply a person decided on, in chat's shape; b'' where this call asked nothing yet.

        Raises PersonAsked where the answer is still out, Forbidden where the reply was rejected.
        """
        asked = await self._question(name)
        return b"" if asked is None else _decided(asked, ask(asked))

    async def _question(self, name: CallName) -> Question | None:
        rows = await patiently(self._database, lambda c: workflow_questions.of_thread(c, name.run))
        for row in reversed(rows):
            value = msgspec.json.decode(row.value)
            if isinstance(value, dict) and value.get("call") == name.lasting:
                return value
        return None


def ask_about(unsure: Unsure, name: CallName) -> Forbidden:
    """Ask what is to become of a reply that was not trusted. Raises PersonAsked; what it returns else is to be raised:
    there cannot be an answer yet, so the one that is there was given to another question."""
    ask(question_of(unsure, name))
    return Forbidden(
        "the step asked something else when it was driven before, so the person's answer is not for this call; let "
        "the same step make the same calls each time",
        code="stale_answer",
    )


def question_of(unsure: Unsure, name: CallName) -> Question:
    """What stands in the inbox."""
    reply = read_reply(unsure.reply)
    return {
        "about": "unsure",
        "call": name.lasting,
        "message": unsure.asked,
        "reply": reply.text,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls],
        "confidence": unsure.confidence,
        "reason": unsure.reason,
        "model": unsure.model,
        "endpoint": unsure.endpoint,
        "completion": msgspec.json.decode(unsure.reply),
    }


def _decided(asked: Question, answer: object) -> bytes:
    """The reply in chat's shape. Raises Forbidden, which no SDK tries again."""
    said = answer if isinstance(answer, Mapping) else {}
    match said.get("decision"):
        case "approve":
            return _json.encode(asked["completion"])
        case "edit" if isinstance(said.get("value"), str):
            return _json.encode(_edited(asked["completion"], str(said["value"])))
        case "reject":
            why = said.get("reason")
            raise Forbidden(
                "a person rejected the reply" + (f": {why}" if why else ""), code="rejected_by_person"
            )
    raise Forbidden(
        'the answer decides nothing: expected {"decision": "approve"}, {"decision": "edit", "value": '
        'text} or {"decision": "reject"}',
        code="undecided_answer",
    )


def _edited(completion: object, text: str) -> Question:
    """The reply with other words: one choice that says them and calls no tool."""
    assert isinstance(completion, dict)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**completion, "choices": [choice]}
