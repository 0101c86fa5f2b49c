"""Calls in the words of OpenTelemetry's conventions for generative AI, for live spans and for export.

Ids are derived from our own, so that a span written by one gateway finds its parent written by another.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from trimtab.config import EndpointSettings
from trimtab.core import AttemptRecord, CallRecord
from trimtab.traces.chat_line import LineMessage
from trimtab.traces.conversation import Unreadable, read_exchange

Value = str | int | float | bool
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "cloud.ibm.com": "ibm.watsonx.ai",
}
_OWN = "trimtab"


def providers_of(endpoints: tuple[EndpointSettings, ...]) -> dict[str, str]:
    """`gen_ai.provider.name` by endpoint: by its host where that is well known, else by the API it speaks."""
    return {endpoint.name: _provider(endpoint) for endpoint in endpoints}


def _provider(endpoint: EndpointSettings) -> str:
    host = urlsplit(endpoint.url).hostname or ""
    known = (name for part, name in _HOSTS.items() if host == part or host.endswith(f".{part}"))
    return next(known, endpoint.style)


def trace_id(tenant: str, run: str) -> int:
    """A run's trace: the run id itself where it is a W3C trace id, else a hash of tenant and run."""
    if _TRACE.fullmatch(run):
        return int(run, 16)
    return _hash(16, "run", tenant, run)


def span_id(kind: str, *names: str) -> int:
    """The span of a call (by its id), or of a run or step (by the trace too)."""
    return _hash(8, kind, *names)


def _hash(size: int, *parts: str) -> int:
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1


def operation(record: CallRecord) -> str:
    """`gen_ai.operation.name`."""
    return "embeddings" if record.call.surface == "embeddings" else "chat"


def call_attributes(record: CallRecord, providers: Mapping[str, str]) -> dict[str, Value]:
    """A call's attributes; what is empty is left out."""
    call, who, usage = record.call, record.call.who, record.usage
    shown: dict[str, Value | None] = {
        "gen_ai.operation.name": operation(record),
        "gen_ai.provider.name": providers.get(record.endpoint, _OWN),
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": record.model,
        "gen_ai.request.max_tokens": call.max_output_tokens or None,
        "gen_ai.request.choice.count": call.choices if call.choices != 1 else None,
        "gen_ai.conversation.id": who.run,
        "gen_ai.agent.name": who.agent,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens or None,
        "gen_ai.response.time_to_first_chunk": record.first_token_seconds,
        "error.type": "" if record.status == "ok" else record.code or record.status,
        "trimtab.cost.nanodollars": record.nanodollars,
        "trimtab.call": call.id,
        "trimtab.run": who.run,
        "trimtab.tenant": who.tenant,
        "trimtab.user": who.user,
        "trimtab.workflow": who.workflow,
        "trimtab.step": who.step,
        "trimtab.task": who.task,
        "trimtab.surface": call.surface,
        "trimtab.endpoint": record.endpoint,
        "trimtab.status": record.status,
        "trimtab.answered_by": record.answered_by,
        "trimtab.policy": record.decision.policy if record.decision is not None else "",
        "trimtab.rule": record.decision.rule if record.decision is not None else "",
    }
    return {name: value for name, value in shown.items() if value is not None and value != ""}


def attempt_attributes(attempt: AttemptRecord, providers: Mapping[str, str]) -> dict[str, Value]:
    """An attempt's attributes, as an event of its call's span."""
    shown: dict[str, Value | None] = {
        "gen_ai.provider.name": providers.get(attempt.endpoint, _OWN),
        "gen_ai.request.model": attempt.model,
        "trimtab.attempt": attempt.id,
        "trimtab.endpoint": attempt.endpoint,
        "trimtab.outcome": attempt.outcome,
        "trimtab.seconds": attempt.seconds,
        "trimtab.cost.nanodollars": attempt.nanodollars,
        "http.response.status_code": attempt.status,
        "trimtab.error": "" if attempt.outcome == "answered" else attempt.error,
    }
    return {name: value for name, value in shown.items() if value is not None and value != ""}


def nanoseconds(moment: float) -> int:
    """Epoch seconds as whole nanoseconds."""
    return round(moment * 1_000_000) * 1000


def content_attributes(record: CallRecord) -> dict[str, Value]:
    """What was said, as JSON; nothing where it was not kept or is no conversation."""
    try:
        exchange = read_exchange(record)
    except Unreadable:
        return {}
    finish = "tool_call" if exchange.reply.tool_calls else "stop"
    told = [_said(message) for message in exchange.messages]
    answered = [_said(exchange.reply) | {"finish_reason": finish}]
    return {
        "gen_ai.input.messages": msgspec.json.encode(told).decode(),
        "gen_ai.output.messages": msgspec.json.encode(answered).decode(),
    }


def _said(message: LineMessage) -> dict[str, object]:
    parts: list[dict[str, object]] = []
    if message.role == "tool":
        parts.append({"type": "tool_call_response", "id": message.tool_call_id, "response": message.content})
    elif isinstance(message.content, str) and message.content:
        parts.append({"type": "text", "content": message.content})
    elif isinstance(message.content, list):
        parts += [{"type": "generic", "content": part} for part in message.content]
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    return {"role": message.role, "parts": parts}
