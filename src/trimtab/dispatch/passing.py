"""What an engine is told of a call beyond the client's own words: its priority, its id, its expected length.

Only where the endpoint's `pass_on` says so: a vLLM without `--scheduling-policy priority` refuses calls that name a
priority. Where we pass one on, the client's own word is overruled, or every client could put itself first.
"""

import msgspec

from trimtab.config import EndpointSettings
from trimtab.core import Call
from trimtab.core.errors import BadRequest

_THOUSANDTHS = 1000
_MOST_PRIORITY = 2**31 - 1
_json = msgspec.json.Encoder()


class Known(msgspec.Struct, frozen=True, gc=False):
    """What the scheduler knows. `rank`: by which it ordered the call, the least first; it heeds priority already.
    `output_tokens`: predicted."""

    rank: float | None = None
    output_tokens: float | None = None


NOTHING_KNOWN = Known()


class _Hinted(msgspec.Struct, gc=False):
    nvext: dict[str, object] | None = None


_HINTED = msgspec.json.Decoder(_Hinted)


def passed_on(
    body: bytes, settings: EndpointSettings, call: Call, attempt: str, known: Known
) -> dict[str, bytes]:
    """Changes to the body, by field; b'' removes one."""
    told: dict[str, bytes] = {}
    if "priority" in settings.pass_on and call.surface != "embeddings":
        told |= _priority(body, settings, call, known)
    if "request_id" in settings.pass_on and settings.engine == "sglang" and attempt:
        told["rid"] = _json.encode(attempt)
    if "agent_hints" in settings.pass_on and call.surface != "embeddings":
        told |= _agent_hints(body, call, known)
    return told


def _priority(body: bytes, settings: EndpointSettings, call: Call, known: Known) -> dict[str, bytes]:
    """vLLM serves the lower first (vllm/v1/core/sched/request_queue.py), SGLang the higher (unless it was started with
    --schedule-low-priority-values-first), and preempts what runs for 10 more, so it is told whole ranks only.
    """
    if known.rank is None:
        urgency = call.priority
    else:
        urgency = -round(known.rank * (_THOUSANDTHS if settings.engine == "vllm" else 1))
    if urgency:
        return {"priority": b"%d" % (-urgency if settings.engine == "vllm" else urgency)}
    return {"priority": b""} if b'"priority"' in body else {}


def _agent_hints(body: bytes, call: Call, known: Known) -> dict[str, bytes]:
    """Dynamo's `nvext.agent_hints`: `priority`, the higher first; `osl`, the expected reply in tokens.

    Source: lib/llm/src/protocols/openai/nvext.rs of ai-dynamo/dynamo. Other members of `nvext` stay the client's.
    """
    hints: dict[str, object] = {}
    if call.priority:
        hints["priority"] = max(-_MOST_PRIORITY, min(_MOST_PRIORITY, call.priority))
    if known.output_tokens is not None:
        hints["osl"] = max(1, round(known.output_tokens))
    if not hints and b'"agent_hints"' not in body:
        return {}
    try:
        said = _HINTED.decode(body).nvext or {}
    except msgspec.ValidationError as error:
        raise BadRequest(f"nvext: expected an object; {error}", param="nvext") from None
    theirs = said.get("agent_hints")
    kept = dict(theirs) if isinstance(theirs, dict) else {}
    kept.pop("priority", None)
    return {"nvext": _json.encode({**said, "agent_hints": {**kept, **hints}})}
