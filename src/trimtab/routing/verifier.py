"""Checks on a reply before it is accepted. Called by `dispatch` on every attempt but a plan's last.

A verifier judges form (schema, tool calls, how it finished, how sure the model was) or asks a function of the
user's. It never changes a reply and never raises: what cannot be checked is rejected, with the reason.
"""

from collections.abc import Callable

import msgspec

from trimtab.core import Verdict, Verifier, VerifierKind
from trimtab.routing.context import DeclaredTool, VerifyContext
from trimtab.routing.policy import Functions
from trimtab.routing.schema import Schemas
from trimtab.wire import ReplyFacts

_REASON_CHARACTERS = 300
_FINISHED = frozenset(("stop", "tool_calls"))


class Verifiers:
    """All kinds of verifiers, with the schemas and functions they need."""

    def __init__(self, functions: Functions | None = None, schemas: Schemas | None = None) -> None:
        """`functions`: the callables `module:function` names, loaded by the caller."""
        self.functions = functions or {}
        self.schemas = schemas or Schemas()

    def verify(self, verifier: Verifier, reply: ReplyFacts, request: VerifyContext) -> Verdict:
        """The verdict of one verifier, with the reason where it rejects."""
        reason = _KINDS[verifier.kind](self, verifier, reply, request)
        by = f"{verifier.kind}:{verifier.value}" if verifier.value else verifier.kind
        return Verdict(not reason, by, reason[:_REASON_CHARACTERS])


def _json_schema(verifiers: Verifiers, _: Verifier, reply: ReplyFacts, request: VerifyContext) -> str:
    """Nothing to check where the request asks for plain text, or where the reply calls tools instead."""
    if request.response_format == "text" or (reply.tool_calls and not reply.text):
        return ""
    if reply.refusal:
        return "the model refused"
    try:
        value = msgspec.json.decode(reply.text)
    except (RecursionError, ValueError) as error:
        return f"the reply is not JSON: {error}"
    if request.response_format == "json_object":
        return "" if isinstance(value, dict) else "the reply is JSON, but not an object"
    fault = verifiers.schemas.fault(request.schema, value) if request.schema else ""
    return fault and f"the reply does not fit the schema: {fault}"


def _tool_calls(verifiers: Verifiers, _: Verifier, reply: ReplyFacts, request: VerifyContext) -> str:
    called = [call.name for call in reply.tool_calls]
    if request.tool_choice == "none" and called:
        return f"calls {called[0]!r} although no tool may be called"
    if request.tool_choice == "required" and not called:
        return "calls no tool although one is required"
    if request.must_call and request.must_call not in called:
        return f"does not call {request.must_call!r} although it is required"
    declared = {tool.name: tool for tool in request.tools}
    for call in reply.tool_calls:
        if call.name not in declared:
            return f"calls {call.name!r}, which is not declared"
        if fault := _arguments_fault(verifiers.schemas, declared[call.name], call.arguments):
            return f"the arguments of {call.name!r} {fault}"
    return ""


def _arguments_fault(schemas: Schemas, tool: DeclaredTool, arguments: str) -> str:
    if tool.free_text:
        return ""
    try:
        value = msgspec.json.decode(arguments or "{}")
    except (RecursionError, ValueError) as error:
        return f"are not JSON: {error}"
    if not isinstance(value, dict):
        return "are not a JSON object"
    fault = schemas.fault(tool.parameters, value) if tool.parameters else ""
    return fault and f"do not fit its schema: {fault}"


def _finish_reason(_v: Verifiers, _: Verifier, reply: ReplyFacts, _request: VerifyContext) -> str:
    if reply.finish_reason not in _FINISHED:
        return f"finished by {reply.finish_reason or 'nothing'!r}"
    if reply.refusal:
        return "the model refused"
    if not reply.tool_calls and not reply.text.strip():
        return "the reply is empty"
    return ""


def _logprob(_v: Verifiers, verifier: Verifier, reply: ReplyFacts, _request: VerifyContext) -> str:
    if reply.mean_logprob is None:
        return "the endpoint gave no logprobs"
    floor = float(verifier.value)
    if reply.mean_logprob >= floor:
        return ""
    return f"mean logprob {reply.mean_logprob:.3f} is below {floor:g}"


def _python(verifiers: Verifiers, verifier: Verifier, reply: ReplyFacts, request: VerifyContext) -> str:
    function = verifiers.functions.get(verifier.value)
    if function is None:
        return f"{verifier.value!r} is not loaded"
    try:
        result = function(reply, request)
    except Exception as error:  # the edge to code that is not ours: its failure is no reason to fail the call
        return f"{verifier.value!r} raised {type(error).__name__}: {error}"
    if isinstance(result, bool):
        result = (result, "")
    match result:
        case (True, str()):
            return ""
        case (False, str() as reason):
            return reason or f"rejected by {verifier.value!r}"
    return f"{verifier.value!r} returned {type(result).__name__}, expected a bool or (bool, reason)"


def _controller(verifiers: Verifiers, verifier: Verifier, reply: ReplyFacts, request: VerifyContext) -> str:
    """A learned check, among the functions under `controller:NAME`."""
    return _python(verifiers, Verifier("python", f"controller:{verifier.value}"), reply, request)


_KINDS: dict[VerifierKind, Callable[[Verifiers, Verifier, ReplyFacts, VerifyContext], str]] = {
    "json_schema": _json_schema,
    "tool_calls": _tool_calls,
    "finish_reason": _finish_reason,
    "logprob": _logprob,
    "python": _python,
    "controller": _controller,
}
