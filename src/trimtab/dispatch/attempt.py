"""One attempt: a place at the endpoint, a hold, the request, and whatever happens, a settlement.

Every way out of here (answer, refusal, broken stream, timeout, client gone) ends the hold exactly once and
gives the place back.
"""

from collections.abc import Callable

from trimtab.core import PlannedAttempt, Usage
from trimtab.core.errors import DeadlineExceeded, UpstreamError
from trimtab.dispatch.form import Form, form_of
from trimtab.dispatch.outgoing import endpoint_body, endpoint_headers
from trimtab.dispatch.passing import NOTHING_KNOWN, Known
from trimtab.dispatch.promise import worst_nanodollars
from trimtab.dispatch.reckoning import LET_GO_TOKENS, UNSEEN_TOKENS, Bill, Heard, Reckoner
from trimtab.dispatch.refusal import LOST_HEDGE, is_endpoint_fault, reason_of, refusal_of
from trimtab.dispatch.settlement import Desk, Ending, Outcome, Settlement
from trimtab.dispatch.visit import Visit
from trimtab.pool import Answer, Endpoint, Seat

_ANSWERED = Ending("answered")


class Attempt:
    """Created for one planned attempt; `begin` opens it, exactly one of the ends closes it.

    `seat`: the place that a scheduler gave it, None where it waits at its endpoint. Whoever reads its answer notes in
    `heard` what came, and in `judged` the reply that was verified, in chat's shape.
    """

    def __init__(
        self,
        desk: Desk,
        visit: Visit,
        endpoint: Endpoint,
        planned: PlannedAttempt,
        seat: Seat | None = None,
        *,
        is_last: bool = True,
    ) -> None:
        self._desk, self.visit, self.endpoint, self.planned = desk, visit, endpoint, planned
        self.form: Form = form_of(visit.call.surface, endpoint.settings.style)
        self.offer = visit.offers[planned.endpoint, planned.model]
        self.heard = Heard()
        self.judged = b""
        self._money = Settlement(desk, visit, endpoint, planned, self.offer)
        self._reckoner = Reckoner(visit, endpoint, self.form, self.offer)
        self._answer: Answer | None = None
        self._release: Callable[[], None] = _nothing
        self._seat, self._inside, self._is_last = seat, seat is not None, is_last

    @property
    def _known(self) -> Known:
        """What the scheduler knows of the call, for the engine."""
        seat = self._seat
        return NOTHING_KNOWN if seat is None else Known(seat.rank, seat.demand.output_tokens)

    async def begin(self) -> Answer:
        """Wait for a place, hold the worst case, send, wait for the head of a 2xx answer.

        Raises QueueFull, DeadlineExceeded, BudgetExceeded, BadRequest, LedgerUnavailable, UpstreamError.
        """
        try:
            return await self._begin()
        except UpstreamError as error:
            await self.fail(error)
            raise
        except BaseException as error:
            await self.abandon(reason_of(error))
            raise

    async def _begin(self) -> Answer:
        visit, endpoint, desk = self.visit, self.endpoint, self._desk
        left = min(visit.left_seconds(desk.clock.now()), endpoint.settings.timeouts.total)
        if left <= 0:
            raise DeadlineExceeded(
                f"the call's own deadline passed before endpoint {endpoint.name} was asked"
            )
        worst = worst_nanodollars(visit, self.offer, endpoint.settings.timeouts.total)
        if not self._inside:
            await endpoint.enter(visit.call, visit.weight, left, visit.max_queued)
            self._inside = True
        self._release = await endpoint.ready(self.planned.model, left)
        self._money.begin()
        await self._money.hold(worst)
        body = endpoint_body(
            visit, endpoint.settings, self.form, self.planned.model, self._money.id, self._known
        )
        headers = endpoint_headers(visit, endpoint, self._money.id, self.planned.model)
        self._require_open()
        self._money.send()
        if self._seat is not None:
            self._seat.sent()
        endpoint.note("sent")
        answer = self._answer = await desk.http.send(
            endpoint.name,
            endpoint.settings.url.rstrip("/") + self.form.path,
            headers,
            body,
            endpoint.settings.timeouts,
            self._head_seconds(),
            visit.left_seconds(desk.clock.now()),
        )
        if answer.status >= 300 or answer.status < 200:
            raise refusal_of(endpoint, answer, await answer.body())
        return answer

    def _require_open(self) -> None:
        """The breaker may have closed the way while this attempt waited, unless it is the plan's last.

        Raises UpstreamError.
        """
        if self.offer.available and not self.endpoint.available and not self._is_last:
            raise UpstreamError(
                f"endpoint {self.endpoint.name} is left alone after failures",
                endpoint=self.endpoint.name,
                code="endpoint_unavailable",
                retryable=False,
            )

    def _head_seconds(self) -> float:
        timeouts = self.endpoint.settings.timeouts
        return timeouts.first_token if self.visit.call.stream else timeouts.total

    def note_first_token(self) -> None:
        """The first byte of the reply's body has come."""
        seconds = self._money.first_token_seconds = self._money.seconds
        self.endpoint.first_token.observe(seconds, self._desk.clock.monotonic())
        if self._seat is not None:
            self._seat.first_token()

    @property
    def seconds(self) -> float:
        """Since the attempt got its place."""
        return self._money.seconds

    async def answered(self, *, rejected: str = "", upstream_nanodollars: int | None = None) -> None:
        """The endpoint answered whole: exact where it told its usage, estimated from what it sent else."""
        endpoint, usage, now = self.endpoint, self.heard.told.usage, self._desk.clock.monotonic()
        endpoint.note("succeeded")
        endpoint.latency.observe(now - self._money.started, now)
        if usage is not None:
            endpoint.note_usage(self.planned.model, usage)
        if upstream_nanodollars is not None:
            bill = self._reckoner.upstream(self.heard, upstream_nanodollars)
        elif usage is not None:
            bill = self._reckoner.told(self.heard)
        else:
            bill = self._reckoner.seen(self.heard, UNSEEN_TOKENS)
        await self._settle(bill, Ending("rejected", rejected) if rejected else _ANSWERED)

    async def fail(self, error: UpstreamError) -> None:
        """The endpoint failed. What it may have charged is entered: told usage, else the worst case."""
        sent = self._money.is_sent
        if sent:
            self.endpoint.note("failed" if is_endpoint_fault(error) else "abandoned")
        ending = Ending("failed", error.message, error.status, error.code)
        if self.heard.told.usage is not None:
            await self._settle(self._reckoner.told(self.heard), ending)
        elif error.billable and sent:
            await self._settle(self._reckoner.worst(self.heard), ending)
        else:
            self._leave()
            self._money.release(ending)
        self._close()

    async def abandon(self, reason: str) -> None:
        """The client went away, its time is up, or another attempt won: what was generated is charged."""
        outcome: Outcome = "lost_hedge" if reason == LOST_HEDGE else "cancelled"
        if not self._money.is_sent:
            self._leave()
            self._money.release(Ending(outcome, reason, None))
        else:
            self.endpoint.note("abandoned")
            await self._settle(self._so_far(), Ending(outcome, reason))
        self._close()

    def finish(self) -> None:
        """Close the answer after `answered`; its connection goes back to the pool."""
        self._close()

    def _so_far(self) -> Bill:
        """By what was told, else by what was seen, else the worst case."""
        heard, reckoner = self.heard, self._reckoner
        if heard.told.usage is not None:
            return reckoner.told(heard)
        return reckoner.seen(heard, LET_GO_TOKENS) if heard.bytes else reckoner.worst(heard)

    async def _settle(self, bill: Bill, ending: Ending) -> None:
        is_whole = ending.outcome in ("answered", "rejected")
        self._leave(self.heard.told.usage if is_whole else None, bill.nanodollars)
        await self._money.settle(bill, ending)

    def _leave(self, usage: Usage | None = None, nanodollars: int = 0) -> None:
        """Give the place back, once; `usage` of a whole reply, and what was charged."""
        if self._inside:
            self._inside = False
            self._release()
            if self._seat is not None:
                self._seat.leave(usage, nanodollars)
            else:
                self.endpoint.leave()

    def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _nothing() -> None:
    pass
