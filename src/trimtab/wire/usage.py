"""Token counts out of replies and stream chunks, in the one shape the ledger charges by.

Reads OpenAI chat, embeddings and Responses, Anthropic Messages and DeepSeek's counts. What cannot be
trusted (missing, null, negative, wrongly typed) counts as missing: the caller then estimates and says so.
"""

from typing import Annotated

import msgspec

from trimtab.core import Usage

# More is nonsense, and would not fit the store's integers once it is priced.
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    audio_tokens: object = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Count | None = None
    thinking_tokens: _Count | None = None
    audio_tokens: object = None


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: _Count | None = None


class _ServerTools(msgspec.Struct, gc=False):
    web_search_requests: _Count | None = None


class _Counts(msgspec.Struct, gc=False):
    """Every provider's names side by side; which of them are there tells whose they are."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    total_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: _Count | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: object = None
    speed: object = None
    inference_geo: object = None


class _Inner(msgspec.Struct, gc=False):
    usage: _Counts | None = None
    service_tier: object = None


class _Holder(msgspec.Struct, gc=False):
    type: str | None = None
    usage: _Counts | None = None
    message: _Inner | None = None
    response: _Inner | None = None
    service_tier: object = None


class _PlainHolder(msgspec.Struct, gc=False):
    usage: _Counts | None = None


_HOLDER = msgspec.json.Decoder(_Holder)
_PLAIN_HOLDER = msgspec.json.Decoder(_PlainHolder)
_NOTHING = _Holder()


class Told(msgspec.Struct, frozen=True, gc=False):
    """What a reply says of its own cost. `usage` is None where there is none that can be trusted.

    `service`: under which terms it was served, as (field, value) pairs such as ("service_tier", "priority").
    `audio_tokens` are part of `usage`, and may have a price of their own.
    """

    usage: Usage | None = None
    service: tuple[tuple[str, str], ...] = ()
    audio_tokens: int = 0


NOTHING_TOLD = Told()


def usage_of(data: bytes) -> Usage | None:
    """The usage of a reply or of a closing stream chunk; None where there is none that can be trusted."""
    return told_of(data).usage


def told_of(data: bytes) -> Told:
    """What a reply or a closing stream chunk says of its cost."""
    if b'"usage"' not in data:
        return NOTHING_TOLD
    holder = _hold(data)
    counts, tier = _closing(holder)
    return NOTHING_TOLD if counts is None else _told(counts, tier)


class StreamUsage:
    """Usage of one stream, whoever sends it: feed every event's data, read `usage` at the end."""

    def __init__(self) -> None:
        self._counts: _Counts | None = None
        self._started: _Counts | None = None
        self._tier: object = None

    def feed(self, data: bytes) -> None:
        """Takes note of the counts in `data`, if any."""
        if b'"usage"' not in data:
            return
        holder = _hold(data)
        if holder.message is not None and holder.message.usage is not None:
            self._started = holder.message.usage
        counts, tier = _closing(holder)
        if counts is not None:
            self._counts = counts if self._started is None else _merged(self._started, counts)
            self._tier = tier or self._tier

    @property
    def usage(self) -> Usage | None:
        """The final counts; None while only a beginning (Anthropic's `message_start`) has been told."""
        return None if self._counts is None else _usage(self._counts)

    @property
    def told(self) -> Told:
        """All that has been told; nothing while only a beginning has been."""
        return NOTHING_TOLD if self._counts is None else _told(self._counts, self._tier)


def _closing(holder: _Holder) -> tuple[_Counts | None, object]:
    """The counts that a chunk or reply closes with, and the service tier that stands beside them."""
    if holder.usage is None and holder.response is not None:
        return holder.response.usage, holder.response.service_tier
    return holder.usage, holder.service_tier


def _told(counts: _Counts, tier: object) -> Told:
    tier = counts.service_tier or tier
    service: tuple[tuple[str, str], ...] = ()
    if tier or counts.speed or counts.inference_geo:
        named = (("service_tier", tier), ("speed", counts.speed), ("inference_geo", counts.inference_geo))
        service = tuple([(name, value) for name, value in named if isinstance(value, str) and value])
    return Told(_usage(counts), service, _audio_tokens(counts))


def _audio_tokens(counts: _Counts) -> int:
    total = 0
    for details in (
        counts.prompt_tokens_details, counts.completion_tokens_details,
        counts.input_tokens_details, counts.output_tokens_details,
    ):  # fmt: skip
        tokens = None if details is None else details.audio_tokens
        if tokens and isinstance(tokens, int) and tokens > 0:
            total += tokens
    return total


def _hold(data: bytes) -> _Holder:
    try:
        return _HOLDER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # A `message` or `type` of another kind stands beside the counts (an endpoint's own extension).
    try:
        return _Holder(usage=_PLAIN_HOLDER.decode(data).usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING


def _merged(first: _Counts, later: _Counts) -> _Counts:
    """Anthropic tells input at the start and running totals at the end; the later word counts."""
    merged = {}
    for name in _Counts.__struct_fields__:
        value = getattr(later, name)
        merged[name] = getattr(first, name) if value is None else value
    return _Counts(**merged)


def _usage(counts: _Counts) -> Usage | None:
    if counts.prompt_tokens is not None:
        return _openai_usage(counts, counts.prompt_tokens)
    if counts.input_tokens is None or counts.output_tokens is None:
        return None
    if counts.input_tokens_details is not None or counts.total_tokens is not None:
        return _responses_usage(counts, counts.input_tokens, counts.output_tokens)
    return _anthropic_usage(counts, counts.input_tokens, counts.output_tokens)


def _openai_usage(counts: _Counts, prompt: int) -> Usage | None:
    completion, total = counts.completion_tokens, counts.total_tokens
    if completion is None:
        # Embeddings count no completion; a chat reply without one has not told its usage.
        return Usage(input_tokens=prompt) if total == prompt else None
    details = counts.prompt_tokens_details or _InputDetails()
    reasoning = (counts.completion_tokens_details or _OutputDetails()).reasoning_tokens or 0
    cached = details.cached_tokens or counts.prompt_cache_hit_tokens or 0
    # Some providers leave reasoning out of completion_tokens but bill it: the total tells.
    output = max(completion, (total or 0) - prompt, reasoning)
    reasoning = max(reasoning, output - completion)
    return _bounded(prompt, output, cached, details.cache_write_tokens or 0, reasoning)


def _responses_usage(counts: _Counts, input_tokens: int, output_tokens: int) -> Usage:
    details = counts.input_tokens_details or _InputDetails()
    reasoning = (counts.output_tokens_details or _OutputDetails()).reasoning_tokens or 0
    output = max(output_tokens, reasoning)
    return _bounded(
        input_tokens, output, details.cached_tokens or 0, details.cache_write_tokens or 0, reasoning
    )


def _bounded(total_input: int, output: int, cached: int, cache_write: int, reasoning: int) -> Usage:
    """Parts never exceed their whole, whatever the endpoint says: no negative remainder is charged."""
    cached = min(cached, total_input)
    return Usage(
        input_tokens=total_input,
        output_tokens=output,
        cached_tokens=cached,
        cache_write_tokens=min(cache_write, total_input - cached),
        reasoning_tokens=min(reasoning, output),
    )


def _anthropic_usage(counts: _Counts, uncached: int, output: int) -> Usage:
    """Anthropic's `input_tokens` leaves out what was read from or written to the cache."""
    read, written = counts.cache_read_input_tokens or 0, counts.cache_creation_input_tokens or 0
    hour = (counts.cache_creation or _CacheCreation()).ephemeral_1h_input_tokens or 0
    written = max(written, hour)
    thinking = (counts.output_tokens_details or _OutputDetails()).thinking_tokens or 0
    return Usage(
        input_tokens=uncached + read + written,
        output_tokens=output,
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_hour_tokens=hour,
        reasoning_tokens=min(thinking, output),
        web_searches=(counts.server_tool_use or _ServerTools()).web_search_requests or 0,
    )
