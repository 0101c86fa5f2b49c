"""A streamed reply on its way to the client, and the settlement before its last byte."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from trimtab.core import Usage
from trimtab.core.errors import CallError, DeadlineExceeded, RunCancelled, UpstreamError
from trimtab.dispatch.attempt import Attempt
from trimtab.dispatch.form import StreamTranslator
from trimtab.dispatch.reading import Events
from trimtab.dispatch.refusal import reason_of
from trimtab.wire import SseEvent, error_event

Judging = Callable[[bytes], Awaitable[str]]


class Live:
    """One opened stream. Exhaust `pieces`, or `abandon` it."""

    def __init__(
        self,
        attempt: Attempt,
        events: Events,
        source: AsyncGenerator[SseEvent, None],
        first: SseEvent | None,
    ) -> None:
        self.attempt, self._events, self._source, self._first = attempt, events, source, first
        form, visit = attempt.form, attempt.visit
        self._translator: StreamTranslator | None = form.translator(visit.asked) if form.translator else None
        self._collector = form.collector()
        self.failure: CallError | None = None
        self.kept = b""
        self.rejected = ""

    @property
    def usage(self) -> Usage:
        """What the endpoint told; zeros if nothing."""
        return self.attempt.heard.told.usage or Usage()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The client's bytes. A failure after the first is told in-band; the hold ends before the last."""
        try:
            async with aclosing(self._forwarded()) as forwarded:
                async for piece in forwarded:
                    yield piece
        except (UpstreamError, DeadlineExceeded) as error:
            self.failure = error
            await self._break_off(error)
            yield self._error_piece(error)
        except BaseException as error:
            await self.abandon(reason_of(error))
            raise

    async def collected(self, judge: Judging) -> bytes:
        """The whole stream at once, for a judge to reject (`rejected` says why). Raises UpstreamError."""
        try:
            return b"".join([piece async for piece in self._forwarded(judge)])
        except BaseException:
            self._look_back()
            raise

    async def abandon(self, reason: str) -> None:
        """Nobody wants the rest: what was generated is charged, the endpoint's stream is closed."""
        self.failure = self.failure or RunCancelled(reason)
        self._keep()
        await self._source.aclose()
        await self.attempt.abandon(reason)

    async def _forwarded(self, judge: Judging | None = None) -> AsyncGenerator[bytes, None]:
        last: list[bytes] = []
        event = self._first or await anext(self._source, None)
        while event is not None:
            self._collector.feed(event.data)
            piece = self._piece(event)
            if event.data == b"[DONE]" or event.event == "message_stop":
                last.append(piece)
            elif piece:
                yield piece
            event = await anext(self._source, None)
        if self._translator is not None:
            last.append(self._translator.finish())
        self._keep()
        if judge is not None:
            self.rejected = await judge(self._collector.reply())
        await self.attempt.answered(
            rejected=self.rejected, upstream_nanodollars=self._events.upstream_nanodollars
        )
        self.attempt.finish()
        yield b"".join(last)

    def _piece(self, event: SseEvent) -> bytes:
        if self._translator is not None:
            return self._translator.feed(event)
        if self.attempt.form.speaks == "chat" and not self.attempt.visit.facts.include_usage:
            data = event.data
            if b'"usage"' in data and (b'"choices":[]' in data or b'"choices": []' in data):
                return b""
        return event.raw

    def _keep(self) -> None:
        visit, attempt = self.attempt.visit, self.attempt
        self._look_back()
        if visit.keeps_content and not self.kept:
            try:
                self.kept = attempt.form.reply(self._collector.reply(), visit.asked)
            except (ValueError, KeyError, TypeError):
                self.kept = self._collector.reply()

    def _look_back(self) -> None:
        """What was generated, where the endpoint did not tell."""
        heard = self.attempt.heard
        if heard.told.usage is None:
            heard.bytes = min(heard.bytes, self._collector.output_bytes or heard.bytes)
            heard.reasoning = self._collector.shows_reasoning

    async def _break_off(self, error: UpstreamError | DeadlineExceeded) -> None:
        self._keep()
        await self._source.aclose()
        if isinstance(error, UpstreamError):
            await self.attempt.fail(error)
        else:
            await self.attempt.abandon(error.message)

    def _error_piece(self, error: CallError) -> bytes:
        message = f"the stream broke off and cannot be resumed: {error.message}"
        return error_event(self.attempt.visit.call.surface, message, "upstream_error", error.code)
