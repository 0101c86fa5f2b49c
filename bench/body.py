"""The one request body every target gets (1.7 KB of chat, our own text) and the reply the upstream gives."""

from __future__ import annotations

import json

SYSTEM = (
    "You are the triage step of a shipyard's maintenance desk. Read the report of a vessel's crew and "
    "answer with the system concerned (hull, engine, steering, electrical, galley), how urgent it is "
    "(now, next port, next docking), and one sentence saying why. If the report names more than one "
    "fault, take the one that endangers the vessel first. Never guess a part number; when the report does "
    "not carry one, say that it is missing. Keep to plain words: the reader may be standing in the rain "
    "with a torch between the teeth."
)
REPORT = (
    "Morning watch, wind from the south-west, moderate swell. The wheel needs noticeably more turns than "
    "yesterday to hold the course, and there is a knocking from the rudder stock when we come about. We "
    "greased the upper bearing last week. The pump in the forward bilge also runs more often than it "
    "should, about every twenty minutes, though the water it brings up is clear."
)
ANSWER = (
    "Steering, next port: play in the stock after fresh grease points to the lower bearing. The bilge "
    "pump can wait until the steering is safe."
)
FOLLOW_UP = (
    "The mate has now looked at the lower bearing with a mirror: a crack runs along a third of the ring, "
    "and two bolts of its housing are loose. The next port is nine hours away under engine, the forecast "
    "gives us a rising wind for tonight. The crew asks whether to go on under engine at reduced speed or "
    "to wait for a tow. Give the triage again in the same form, then one line for the log, and name the "
    "one thing the crew must look at before every change of course."
)


def request_body(model: str, *, stream: bool) -> bytes:
    """The chat completion request for `model`, 1.7 KB; streamed ones ask for usage in the last chunk."""
    fields: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": REPORT},
            {"role": "assistant", "content": ANSWER},
            {"role": "user", "content": FOLLOW_UP},
        ],
        "temperature": 0.2,
        "max_tokens": 128,
    }
    if stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(fields, ensure_ascii=False).encode()


def reply_body(model: str) -> bytes:
    """The fixed chat completion of the static upstream, with usage."""
    usage = {"prompt_tokens": 402, "completion_tokens": 41, "total_tokens": 443}
    message = {"role": "assistant", "content": f"Steering, now. {ANSWER}"}
    reply = {
        "id": "chatcmpl-bench0001",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage,
    }
    return json.dumps(reply).encode()
