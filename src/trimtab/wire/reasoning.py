"""Signs that a model reasons out of sight: then more may be billed than a reply shows.

Called by `dispatch` only where an endpoint told no usage.
"""

import re

import msgspec

# A quote behind a backslash is text that somebody wrote, not a member.
_SHOWN = re.compile(
    rb'(?<!\\)"(?:reasoning\w*|thinking|thoughts?)"\s*:(?!\s*(?:null|""|\[\]|\{\}|false|0\b))'
    rb'|(?<!\\)"type"\s*:\s*"(?:redacted_thinking|thinking|reasoning)'
)
_OFF = (None, False, 0, "none", "disabled", "off")


class _Switch(msgspec.Struct, gc=False):
    type: object = "on"
    effort: object = "on"
    enabled: object = True
    max_tokens: object = "on"


class _Asked(msgspec.Struct, gc=False):
    reasoning_effort: object = None
    reasoning: _Switch | None = None
    thinking: _Switch | None = None
    output_config: dict[str, object] | None = None
    enable_thinking: object = None
    include_reasoning: object = None
    thinking_budget: object = None
    chat_template_kwargs: dict[str, object] | None = None
    extra_body: dict[str, object] | None = None


_ASKED = msgspec.json.Decoder(_Asked)
_MARKS = (b"reasoning", b"thinking", b"effort")


def asks_to_reason(body: bytes) -> bool:
    """Whether a request, of whatever surface, asks its model to reason."""
    if not any(mark in body for mark in _MARKS):
        return False
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # One of the fields is there in a form that is not known: a sign all the same.
        return bool(_SHOWN.search(body))
    plain = (asked.reasoning_effort, asked.enable_thinking, asked.include_reasoning, asked.thinking_budget)
    if any(value not in _OFF for value in plain):
        return True
    if any(_is_on(switch) for switch in (asked.reasoning, asked.thinking)):
        return True
    nested = (
        (asked.output_config or {}).get("effort"),
        (asked.chat_template_kwargs or {}).get("enable_thinking"),
    )
    if any(value not in _OFF for value in nested):
        return True
    return bool(asked.extra_body) and b"thinking" in body


def shows_reasoning(data: bytes) -> bool:
    """Whether a reply, or a part of a stream, has reasoning in it: shown, summed up or hidden."""
    return _SHOWN.search(data) is not None


def _is_on(switch: _Switch | None) -> bool:
    return switch is not None and not any(
        value in _OFF for value in (switch.type, switch.effort, switch.enabled, switch.max_tokens)
    )
