"""Reads an endpoint's answer, whole or event by event, and tells a reply from a failure."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec

from trimtab.core import Usage
from trimtab.core.errors import DeadlineExceeded, UpstreamError
from trimtab.dispatch.attempt import Attempt
from trimtab.pool import Answer
from trimtab.wire import (
    BrokenStream,
    SseEvent,
    SseParser,
    StreamUsage,
    error_message,
    shows_reasoning,
    told_of,
)

UPSTREAM_COST_HEADER = "x-trimtab-cost-nanodollars"
COST_EVENT = "trimtab"
_END_SECONDS = 1.0
_FINISH = re.compile(rb'"(?:finish|stop)_reason": ?"')


Nanodollars = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class _CostEvent(msgspec.Struct):
    cost_nanodollars: Nanodollars


async def whole_reply(attempt: Attempt, answer: Answer) -> tuple[bytes, int | None]:
    """The plain reply of a 2xx answer, and what another gateway charged for it.

    Raises UpstreamError for what is no reply: half a JSON, an error body behind a 200.
    """
    body = await answer.body()
    heard = attempt.heard
    heard.bytes = len(body)
    heard.told = told_of(body)
    usage = heard.told.usage
    if usage is None:
        heard.reasoning = shows_reasoning(body)
    if usage is None or b'"error"' in body or not body.isascii():
        _check(attempt, body, usage)
    told = answer.headers.get(UPSTREAM_COST_HEADER) if attempt.endpoint.settings.style == "trimtab" else None
    return body, _nanodollars(told)


def _nanodollars(told: str | None) -> int | None:
    try:
        return None if told is None else msgspec.json.decode(told, type=Nanodollars)
    except msgspec.DecodeError:
        return None


def _check(attempt: Attempt, body: bytes, usage: Usage | None) -> None:
    endpoint, said = attempt.endpoint.name, attempt.endpoint.masked
    try:
        body.decode()
        if usage is not None and b'"error"' not in body:
            return
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamError(
            f"endpoint {endpoint} sent a reply that is not whole JSON: {error}",
            endpoint=endpoint, status=200, code="upstream_broken_reply", billable=True,
        ) from error  # fmt: skip
    if not isinstance(value, dict) or not _is_reply(value):
        refused = isinstance(value, dict) and bool(value.get("error"))
        raise UpstreamError(
            f"endpoint {endpoint} answered 200 with no reply in it: {said(error_message(body))}",
            endpoint=endpoint, status=200, code="upstream_error", billable=not refused, body=body,
        )  # fmt: skip


def _is_reply(value: dict[str, object]) -> bool:
    return bool(value.get("choices") or value.get("data") or isinstance(value.get("content"), list))


class _Told(msgspec.Struct):
    error: object = None


class Events:
    """The events of a streamed answer, with the usage seen so far."""

    def __init__(self, attempt: Attempt, answer: Answer) -> None:
        self._attempt, self._answer = attempt, answer
        self._parser = SseParser()
        self._usage = StreamUsage()
        self._is_ours = attempt.endpoint.settings.style == "trimtab"
        self._ended = False
        self.finished = False
        self.upstream_nanodollars: int | None = None

    async def __aiter__(self) -> AsyncGenerator[SseEvent, None]:
        """Events in order. Raises UpstreamError for a broken stream or an error told in-band,
        DeadlineExceeded.
        """
        parts = self._answer.parts()
        try:
            async for part in parts:
                for event in filter(self._take, self._parser.feed(part)):
                    yield event
        except BrokenStream as error:
            raise self._error(f"sent a broken stream: {error}", "upstream_broken_reply") from error
        except (UpstreamError, DeadlineExceeded):
            if not self._ended:
                raise
        finally:
            await parts.aclose()
        if self._ended:
            return
        if self._parser.pending.strip():
            raise self._error("ended its stream in the middle of an event", "upstream_broken_reply")
        if not self.finished:
            raise self._error("ended its stream before it was finished", "upstream_broken_reply")

    def _take(self, event: SseEvent) -> bool:
        data = event.data
        if self._is_ours and event.event == COST_EVENT:
            self._take_cost(data)
            return False
        if self._ended:
            return False
        self._attempt.heard.bytes += len(data)
        if b'"usage"' in data:
            self._usage.feed(data)
        if data == b"[DONE]" or event.event == "message_stop":
            self.finished = self._ended = True
            self._answer.hurry(_END_SECONDS)
        elif _is_error(event):
            said = self._attempt.endpoint.masked(error_message(data))
            raise self._error(f"broke off with an error: {said}", "upstream_error")
        elif not is_json(data):
            raise self._error("sent an event that is not JSON", "upstream_broken_reply")
        elif _FINISH.search(data):
            self.finished = True
        self._note_usage()
        return True

    def _note_usage(self) -> None:
        """Counts told before the reply is finished are of what was made by then, not of all that is billed."""
        usage = self._usage.usage
        if usage is None:
            return
        self._attempt.heard.told_tokens = usage.output_tokens
        if self.finished:
            self._attempt.heard.told = self._usage.told

    def _take_cost(self, data: bytes) -> None:
        try:
            self.upstream_nanodollars = msgspec.json.decode(data, type=_CostEvent).cost_nanodollars
        except msgspec.DecodeError:
            raise self._error("sent a cost that is none", "upstream_broken_reply") from None

    def _error(self, what: str, code: str) -> UpstreamError:
        endpoint = self._attempt.endpoint.name
        return UpstreamError(
            f"endpoint {endpoint} {what}", endpoint=endpoint, status=200, code=code, billable=True
        )


def is_stream(answer: Answer) -> bool:
    """Whether the answer is a stream of events, whatever was asked for."""
    return "text/event-stream" in answer.headers.get("content-type", "").lower()


def _is_error(event: SseEvent) -> bool:
    if event.event == "error":
        return True
    if b'"error"' not in event.data:
        return False
    try:
        return bool(msgspec.json.decode(event.data, type=_Told).error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def is_json(data: bytes) -> bool:
    """Whether an event's data looks like a whole JSON object; what is in it is for others to read."""
    if data[:1] != b"{" or data[-1:] != b"}":
        data = data.strip()
    if not (data.startswith(b"{") and data.endswith(b"}")):
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


async def within(seconds: float, events: AsyncGenerator[SseEvent, None], endpoint: str) -> SseEvent | None:
    """The next event, None at the end. Raises UpstreamError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(events, None)
    except TimeoutError as error:
        raise UpstreamError(
            f"endpoint {endpoint} sent no first token within {seconds:g} s",
            endpoint=endpoint, code="upstream_timeout", billable=True,
        ) from error  # fmt: skip
