"""Reads an endpoint's answer, whole or event by event, and tells a reply from a failure."""

import asyncio
import re
from collections.abc import AsyncIterator

import msgspec

from trimtab.core import Usage
from trimtab.core.errors import UpstreamError
from trimtab.dispatch.attempt import Attempt
from trimtab.pool import Answer
from trimtab.wire import (
    BrokenStream,
    SseEvent,
    SseParser,
    StreamUsage,
    error_message,
    usage_of,
)

UPSTREAM_COST_HEADER = "x-trimtab-cost-nanodollars"
COST_EVENT = "trimtab"
_FINISH = re.compile(rb'"finish_reason": ?"')


class _CostEvent(msgspec.Struct):
    cost_nanodollars: int


async def whole_reply(attempt: Attempt, answer: Answer) -> tuple[bytes, Usage | None, int | None]:
    """The plain reply of a 2xx answer, its usage, and what another gateway charged for it.

    Raises UpstreamError for what is no reply: half a JSON, an error body behind a 200.
    """
    body = await answer.body()
    attempt.seen_bytes = len(body)
    usage = usage_of(body)
    if usage is None or b'"error"' in body:
        _check(attempt, body, usage)
    told = answer.headers.get(UPSTREAM_COST_HEADER) if attempt.endpoint.settings.style == "trimtab" else None
    return body, usage, int(told) if told and told.isdigit() else None


def _check(attempt: Attempt, body: bytes, usage: Usage | None) -> None:
    endpoint = attempt.endpoint.name
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamError(
            f"endpoint {endpoint} sent a reply that is not whole JSON: {error}",
            endpoint=endpoint, status=200, code="upstream_broken_reply", billable=True,
        ) from error  # fmt: skip
    failed = not isinstance(value, dict) or (value.get("error") and not _is_reply(value))
    if failed or not _is_reply(value):
        raise UpstreamError(
            f"endpoint {endpoint} answered 200 with no reply in it: {error_message(body)}",
            endpoint=endpoint, status=200, code="upstream_error", billable=False, body=body,
        )  # fmt: skip


def _is_reply(value: dict[str, object]) -> bool:
    return bool(value.get("choices") or value.get("data") or isinstance(value.get("content"), list))


class Events:
    """The events of a streamed answer, with the usage seen so far."""

    def __init__(self, attempt: Attempt, answer: Answer) -> None:
        self._attempt, self._answer = attempt, answer
        self._parser = SseParser()
        self._usage = StreamUsage()
        self.finished = False
        self.upstream_nanodollars: int | None = None

    @property
    def usage(self) -> Usage | None:
        """The endpoint's own usage, once it has told it."""
        return self._usage.usage

    async def __aiter__(self) -> AsyncIterator[SseEvent]:
        """Events in order. Raises UpstreamError for a broken stream or an error told in-band."""
        attempt = self._attempt
        deadline = attempt.endpoint.settings.timeouts.total
        try:
            async for part in self._answer.parts():
                for event in self._parser.feed(part):
                    if self._take(event):
                        yield event
                if attempt.seconds > deadline:
                    raise self._error(f"took longer than {deadline:g} s", "upstream_timeout")
        except BrokenStream as error:
            raise self._error(f"sent a broken stream: {error}", "upstream_broken_reply") from error
        if self._parser.pending.strip():
            raise self._error("ended its stream in the middle of an event", "upstream_broken_reply")
        if not self.finished:
            raise self._error("ended its stream before it was finished", "upstream_broken_reply")

    def _take(self, event: SseEvent) -> bool:
        data = event.data
        if event.event == COST_EVENT:
            self.upstream_nanodollars = msgspec.json.decode(data, type=_CostEvent).cost_nanodollars
            return False
        self._attempt.seen_bytes += len(data)
        self._usage.feed(data)
        if data == b"[DONE]" or event.event == "message_stop" or _FINISH.search(data):
            self.finished = True
        elif event.event == "error" or data.startswith(b'{"error"'):
            raise self._error(f"broke off with an error: {error_message(data)}", "upstream_error")
        elif not data.startswith(b"{"):
            raise self._error("sent an event that is not JSON", "upstream_broken_reply")
        return True

    def _error(self, what: str, code: str) -> UpstreamError:
        endpoint = self._attempt.endpoint.name
        return UpstreamError(
            f"endpoint {endpoint} {what}", endpoint=endpoint, status=200, code=code, billable=True
        )


def is_stream(answer: Answer) -> bool:
    """Whether the answer is a stream of events, whatever was asked for."""
    return "text/event-stream" in answer.headers.get("content-type", "")


async def within(seconds: float, events: AsyncIterator[SseEvent], endpoint: str) -> SseEvent | None:
    """The next event, None at the end. Raises UpstreamError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(events, None)
    except TimeoutError as error:
        raise UpstreamError(
            f"endpoint {endpoint} sent no first token within {seconds:g} s",
            endpoint=endpoint, code="upstream_timeout", billable=True,
        ) from error  # fmt: skip
