"""What is told of a reply that was not trusted, where a person is asked instead of a bigger model."""

import math

import msgspec

from trimtab.core.errors import Unsure, UpstreamError
from trimtab.dispatch.form import form_of
from trimtab.dispatch.visit import Visit
from trimtab.wire import read_reply


class _Messages(msgspec.Struct):
    messages: list[dict[str, object]] = []


_MESSAGES = msgspec.json.Decoder(_Messages)


def unsure_of(visit: Visit, rejected: UpstreamError, reason: str, chat: bytes) -> Unsure:
    """The reply `chat` that was rejected, with what it answers and how sure the model was: the mean probability of
    its tokens, where the endpoint told it."""
    reply = read_reply(chat)
    sure = None if reply.mean_logprob is None else math.exp(min(0.0, reply.mean_logprob))
    last = visit.attempts[-1]
    return Unsure(
        f"{rejected.message}; a person is asked",
        model=last.model,
        endpoint=last.endpoint,
        reason=reason,
        confidence=sure,
        asked=_last_message(visit),
        reply=chat,
    )


def _last_message(visit: Visit) -> dict[str, object]:
    request = form_of(visit.call.surface, "openai").request(visit.asked)
    messages = _MESSAGES.decode(request).messages
    return messages[-1] if messages else {}
