"""Stage 7, the way through a plan: attempts in order, retries with backoff, hedges, fallback, escalation.

A streamed attempt that nothing will judge any more streams live; until its first piece is there, it may still
be replaced by the next attempt. One that may be rejected is collected whole first.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from trimtab.core import PlannedAttempt, Usage
from trimtab.core.errors import BadRequest, BudgetExceeded, CallError, QueueFull, UpstreamError
from trimtab.dispatch.attempt import Attempt
from trimtab.dispatch.live import Live
from trimtab.dispatch.placing import Placing
from trimtab.dispatch.promise import UNBOUNDED
from trimtab.dispatch.reading import Events, is_stream, whole_reply, within
from trimtab.dispatch.refusal import LOST_HEDGE, TOO_LONG, reason_of
from trimtab.dispatch.settlement import Desk
from trimtab.dispatch.unsure import unsure_of
from trimtab.dispatch.verdict import UNREADABLE, Judge
from trimtab.dispatch.visit import Visit
from trimtab.pool import Pool, Seat
from trimtab.routing import Verifiers, read_context
from trimtab.scheduling import HedgeBudget, delay, hedge_budget

# Another endpoint may speak the call's language, or bound what it may cost.
_ELSEWHERE = ("untranslatable", UNBOUNDED)
_ENDS_PLAN = ("upstream_refused", BudgetExceeded.code)
# Another endpoint may serve, but the same one will say the same again.
_LASTING_FAULTS = (401, 402, 403, 404)
_BASE_SECONDS = 0.25
_CAP_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 30.0


class Whole(msgspec.Struct, frozen=True):
    """A whole reply: for the client (plain, or as the bytes of a finished stream) and for the trace."""

    body: bytes
    kept: bytes
    usage: Usage
    endpoint: str
    model: str


class _Rejected(Exception):
    """A verifier said no; the plan goes on. `chat` is what it judged, b'' where that could not be read."""

    def __init__(self, error: UpstreamError, reason: str, chat: bytes) -> None:
        super().__init__(error.message)
        self.error, self.reason, self.chat = error, reason, chat


class Journey:
    """Constructed by `app/`. `unit` draws from [0, 1) for backoff jitter."""

    def __init__(
        self,
        desk: Desk,
        pool: Pool,
        placing: Placing,
        verifiers: Verifiers,
        hedge_share: float,
        unit: Callable[[], float],
    ) -> None:
        self._desk, self._pool, self._judge, self._unit = desk, pool, Judge(verifiers), unit
        self._placing = placing
        self._hedges: HedgeBudget = hedge_budget(hedge_share)

    async def travel(self, visit: Visit) -> Whole | Live:
        """Follow the visit's plan to a reply. Raises the CallError of the last attempt, Unsure."""
        assert visit.decision is not None
        plan = visit.decision.plan
        attempts = list(plan.attempts)
        failure: CallError | None = None
        self._hedges = self._hedges.after_call()
        while attempts:
            planned = attempts.pop(0)
            try:
                if plan.hedge and attempts and not planned.verifiers:
                    return await self._race(visit, planned, attempts[0])
                seat = None
                if self._placing.places:
                    planned, seat = await self._placing.place(visit, planned, attempts)
                return await self._persist(visit, planned, seat, last=not attempts)
            except _Rejected as rejected:
                if visit.inbound.asks and rejected.chat and not any(left.verifiers for left in attempts):
                    raise unsure_of(visit, rejected.error, rejected.reason, rejected.chat) from None
                failure = rejected.error
            except QueueFull as error:
                failure = failure or error
            except BadRequest as error:
                if error.code not in _ELSEWHERE:
                    raise
                failure = failure or error
            except UpstreamError as error:
                if error.code in _ENDS_PLAN:
                    raise
                if error.code == TOO_LONG:
                    attempts = _longer(visit, planned, attempts)
                failure = error
        assert failure is not None
        raise failure

    async def _persist(
        self, visit: Visit, planned: PlannedAttempt, seat: Seat | None, *, last: bool
    ) -> Whole | Live:
        """Try one planned attempt, again after transient failures; `seat` is for the first try."""
        endpoint = self._pool.endpoints[planned.endpoint]
        tries = endpoint.settings.retries
        for tried in range(tries + 1):
            try:
                return await self._try(visit, planned, None if tried else seat, is_last=last)
            except UpstreamError as error:
                wait = self._patience(visit, error, tried, last=last)
                lasting = not error.retryable or error.status in _LASTING_FAULTS
                if tried == tries or lasting or wait is None:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError

    def _patience(self, visit: Visit, error: UpstreamError, tried: int, *, last: bool) -> float | None:
        """Seconds until the next try here; None: better to move on."""
        asked = error.retry_after_seconds
        left = min(_LONGEST_WAIT_SECONDS, visit.left_seconds(self._desk.clock.now()))
        if not last:
            left = min(left, _BASE_SECONDS * 4)
        return delay(tried, self._unit(), _BASE_SECONDS, _CAP_SECONDS, asked, left)

    async def _race(self, visit: Visit, first: PlannedAttempt, second: PlannedAttempt) -> Whole | Live:
        """Start the second attempt when the first is slower than its endpoint's p95; the first to answer wins."""
        patience = self._pool.endpoints[first.endpoint].speed.p95
        leader = asyncio.ensure_future(self._try(visit, first, is_last=False))
        racers: set[asyncio.Future[Whole | Live]] = {leader}
        winner: Whole | Live | None = None
        try:
            await asyncio.wait(racers, timeout=patience)
            if not leader.done() and self._hedges.allows:
                self._hedges = self._hedges.after_hedge()
                assert visit.decision is not None
                last = second is visit.decision.plan.attempts[-1]
                racers.add(asyncio.ensure_future(self._try(visit, second, is_last=last)))
            winner = await _first_answer(racers)
        finally:
            await _call_off(racers, winner)
        return winner

    async def _try(
        self, visit: Visit, planned: PlannedAttempt, seat: Seat | None = None, *, is_last: bool
    ) -> Whole | Live:
        if seat is None and self._placing.places:
            planned, seat = await self._placing.place(visit, planned, None)
        endpoint = self._pool.endpoints[planned.endpoint]
        attempt = Attempt(self._desk, visit, endpoint, planned, seat, is_last=is_last)
        answer = await attempt.begin()
        try:
            if visit.call.stream and is_stream(answer):
                return await self._open_stream(attempt, Events(attempt, answer))
            body, upstream = await whole_reply(attempt, answer)
            reply, shown = self._client_reply(attempt, body)
            rejected = await self._verify(attempt, body) if planned.verifiers else ""
            await attempt.answered(rejected=rejected, upstream_nanodollars=upstream)
            attempt.finish()
        except UpstreamError as error:
            await attempt.fail(error)
            raise
        except BaseException as error:
            await attempt.abandon(reason_of(error))
            raise
        if rejected:
            raise _rejection(attempt, rejected)
        return Whole(shown, reply, attempt.heard.told.usage or Usage(), planned.endpoint, planned.model)

    def _client_reply(self, attempt: Attempt, body: bytes) -> tuple[bytes, bytes]:
        """The reply in the client's shape, plain and as the client asked for it.

        Raises UpstreamError: an endpoint's odd reply is the endpoint's failure.
        """
        form, visit = attempt.form, attempt.visit
        try:
            reply = form.reply(body, visit.asked)
            if not visit.call.stream or form.stream_of_reply is None:
                return reply, reply
            return reply, form.stream_of_reply(body, visit.asked)
        except (BadRequest, ValueError, KeyError, TypeError) as error:
            raise UpstreamError(
                f"endpoint {attempt.endpoint.name} sent a reply that cannot be translated: {error}",
                endpoint=attempt.endpoint.name, status=200, code="upstream_broken_reply", billable=True,
            ) from error  # fmt: skip

    async def _verify(self, attempt: Attempt, body: bytes) -> str:
        """Why the reply is rejected; '' if it is not."""
        context = read_context(attempt.form.request(attempt.visit.asked))
        try:
            chat = attempt.form.to_chat(body)
        except ValueError as error:
            return f"shape: {error}"
        verdict = await self._judge.verdict(attempt.planned.verifiers, chat, context)
        if verdict is not None and verdict.by != UNREADABLE:
            attempt.judged = chat
        return "" if verdict is None else f"{verdict.by}: {verdict.reason}"

    async def _open_stream(self, attempt: Attempt, events: Events) -> Whole | Live:
        source = aiter(events)
        if attempt.planned.verifiers:
            return await self._collect(attempt, Live(attempt, events, source, None))
        seconds = attempt.endpoint.settings.timeouts.first_token
        first = await within(max(0.001, seconds - attempt.seconds), source, attempt.endpoint.name)
        if first is None:
            raise UpstreamError(
                f"endpoint {attempt.endpoint.name} sent an empty stream",
                endpoint=attempt.endpoint.name, status=200, code="upstream_broken_reply", billable=True,
            )  # fmt: skip
        attempt.note_first_token()
        return Live(attempt, events, source, first)

    async def _collect(self, attempt: Attempt, live: Live) -> Whole:
        """A stream that may be rejected: whole first, then judged, then given out as it came."""
        shown = await live.collected(partial(self._verify, attempt))
        if live.rejected:
            raise _rejection(attempt, live.rejected)
        return Whole(shown, live.kept, live.usage, attempt.endpoint.name, attempt.planned.model)


def _longer(visit: Visit, failed: PlannedAttempt, left: list[PlannedAttempt]) -> list[PlannedAttempt]:
    """Those whose context may hold what was too long for `failed`: known to be longer, or another's, unknown."""
    most = visit.offers[failed.endpoint, failed.model].context_tokens

    def may_hold(planned: PlannedAttempt) -> bool:
        context = visit.offers[planned.endpoint, planned.model].context_tokens
        if planned.model == failed.model and not (most and context):
            return False
        return not context or context > most

    return [planned for planned in left if may_hold(planned)]


async def _first_answer(racers: "set[asyncio.Future[Whole | Live]]") -> Whole | Live:
    waiting = set(racers)
    failure: BaseException | None = None
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for racer in done:
            if racer.exception() is None:
                racers.discard(racer)
                return racer.result()
            failure = failure or racer.exception()
    assert failure is not None
    raise failure


async def _call_off(racers: "set[asyncio.Future[Whole | Live]]", winner: Whole | Live | None) -> None:
    """End the losers; the winner too, should the client go away meanwhile."""
    for racer in racers:
        racer.cancel(LOST_HEDGE)
    try:
        for late in await asyncio.gather(*racers, return_exceptions=True):
            if isinstance(late, Live):
                await late.abandon(LOST_HEDGE)
    except BaseException as error:
        if isinstance(winner, Live):
            await winner.abandon(reason_of(error))
        raise


def _rejection(attempt: Attempt, reason: str) -> _Rejected:
    return _Rejected(
        UpstreamError(
            f"the reply of {attempt.planned.model} at {attempt.endpoint.name} was rejected: {reason}",
            endpoint=attempt.endpoint.name,
            status=200,
            code="reply_rejected",
            retryable=False,
        ),
        reason,
        attempt.judged,
    )
