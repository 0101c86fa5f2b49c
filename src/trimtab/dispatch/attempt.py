"""One attempt: a place at the endpoint, a hold, the request, and whatever happens, a settlement.

Every way out of here (answer, refusal, broken stream, timeout, client gone) ends the hold exactly once and
gives the place back. `settle` is the only door to the ledger for attempts.
"""

import asyncio

from trimtab.core import AttemptRecord, Certainty, Clock, Hold, IdSource, PlannedAttempt, Usage
from trimtab.core.errors import BudgetExceeded, CallError, DeadlineExceeded, UpstreamError
from trimtab.dispatch.form import Form, form_of
from trimtab.dispatch.outgoing import endpoint_body, endpoint_headers
from trimtab.dispatch.visit import Visit
from trimtab.ledger import Ledger
from trimtab.pool import Answer, Endpoint, Http
from trimtab.wire import error_message

LOST_HEDGE = "lost hedge"
_ENDPOINT_FAULTS = (401, 402, 403, 404, 408, 425, 429)
_LET_GO_TOKENS = 256
# Tokens that end a reply or frame a tool call are billed and never seen.
_UNSEEN_TOKENS = 32
_LONGEST_RETRY_SECONDS = 86_400.0


class Desk:
    """What every attempt works with; constructed by `app/`."""

    def __init__(self, ledger: Ledger, http: Http, clock: Clock, ids: IdSource) -> None:
        self.ledger, self.http, self.clock, self.ids = ledger, http, clock, ids


class Attempt:
    """Created for one planned attempt; `begin` opens it, exactly one of the ends closes it.

    Whoever reads its answer notes in `usage` what the endpoint told of the whole reply, in `told_tokens` what
    it told of the output by now, and in `seen_bytes` how much it sent.
    """

    def __init__(self, desk: Desk, visit: Visit, endpoint: Endpoint, planned: PlannedAttempt) -> None:
        self._desk, self.visit, self.endpoint, self.planned = desk, visit, endpoint, planned
        self.form: Form = form_of(visit.call.surface, endpoint.settings.style)
        self.offer = visit.offers[planned.endpoint, planned.model]
        self.id = desk.ids.new(desk.clock.now())
        self.first_token_seconds: float | None = None
        self.seen_bytes = 0
        self.told_tokens = 0
        self.usage: Usage | None = None
        self._at = desk.clock.now()
        self._started = desk.clock.monotonic()
        self._answer: Answer | None = None
        self._hold: Hold | None = None
        self._mark = 0.0
        self._weight = visit.call.input_tokens + visit.call.max_output_tokens
        self._sent = False
        self._inside = False

    async def begin(self) -> Answer:
        """Wait for a place, hold the worst case, send, wait for the head of a 2xx answer.

        Raises QueueFull, DeadlineExceeded, BudgetExceeded, LedgerUnavailable, UpstreamError.
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
        await endpoint.enter(visit.call, visit.weight, left, visit.max_queued)
        self._inside = True
        self._started = desk.clock.monotonic()
        self._hold = await self._set_aside()
        body = endpoint_body(visit, endpoint.settings, self.form, self.planned.model)
        headers = endpoint_headers(visit, endpoint, self.id)
        self._require_open()
        self._mark = endpoint.machine.begin(self._weight, self._started)
        self._sent = True
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

    async def _set_aside(self) -> Hold:
        """The hold of the worst case; the call's own deadline does not wait for others' holds to settle."""
        visit, desk = self.visit, self._desk
        holding = desk.ledger.hold(
            self.id,
            visit.call.id,
            visit.call.who,
            visit.meters,
            self.endpoint.name,
            self.planned.model,
            self.offer.worst_nanodollars,
        )
        if visit.call.deadline is None:
            return await holding
        try:
            async with asyncio.timeout(visit.left_seconds(desk.clock.now())):
                return await holding
        except TimeoutError as error:
            raise DeadlineExceeded("the call's own deadline passed before money was set aside") from error

    def _require_open(self) -> None:
        """The breaker may have closed the way while this attempt waited, unless it is the plan's last.

        Raises UpstreamError.
        """
        assert self.visit.decision is not None
        last = self.planned is self.visit.decision.plan.attempts[-1]
        if self.offer.available and not self.endpoint.available and not last:
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
        now = self._desk.clock.monotonic()
        self.first_token_seconds = now - self._started
        self.endpoint.first_token.observe(self.first_token_seconds, now)

    @property
    def seconds(self) -> float:
        """Since the attempt got its place."""
        return self._desk.clock.monotonic() - self._started

    async def answered(
        self, usage: Usage | None, *, rejected: str = "", upstream_nanodollars: int | None = None
    ) -> None:
        """The endpoint answered whole: exact where it told its usage, estimated from what it sent else."""
        self.endpoint.note("succeeded")
        self.endpoint.latency.observe(self.seconds, self._desk.clock.monotonic())
        outcome = "rejected" if rejected else "answered"
        if upstream_nanodollars is not None:
            await self._settle(usage or Usage(), "upstream", outcome, rejected, upstream_nanodollars)
        elif usage is not None:
            await self._settle(usage, "exact", outcome, rejected)
        else:
            estimate = self._estimate(_UNSEEN_TOKENS)
            await self._settle(estimate, "estimated", outcome, rejected or "no usage in the reply")

    async def fail(self, error: UpstreamError) -> None:
        """The endpoint failed. What it may have charged is entered: told usage, else the worst case."""
        usage = self.usage
        if self._sent:
            self.endpoint.note("failed" if _is_endpoint_fault(error) else "abandoned")
        if usage is not None:
            await self._settle(usage, "exact", "failed", error.message, status=error.status, code=error.code)
        elif error.billable and self._sent:
            await self._settle(
                self._worst(), "worst_case", "failed", error.message, status=error.status, code=error.code
            )
        else:
            self._release(error.message, "failed", error.status, error.code)
        await self._close()

    async def abandon(self, reason: str) -> None:
        """The client went away, its time is up, or another attempt won: what was generated is charged."""
        usage = self.usage
        if self._sent:
            self.endpoint.note("abandoned")
        outcome = "lost_hedge" if reason == LOST_HEDGE else "cancelled"
        if not self._sent:
            self._release(reason, outcome, None, "")
        elif usage is not None:
            await self._settle(usage, "exact", outcome, reason)
        elif self.seen_bytes:
            await self._settle(self._estimate(_LET_GO_TOKENS), "estimated", outcome, reason)
        else:
            await self._settle(self._worst(), "worst_case", outcome, reason)
        await self._close()

    async def finish(self) -> None:
        """Close the answer after `answered`; its connection goes back to the pool."""
        await self._close()

    def _estimate(self, more_tokens: int) -> Usage:
        """Never below what was billed: a token is at least a byte of what we saw, hidden reasoning the worst."""
        call = self.visit.call
        most = call.max_output_tokens * call.choices
        hidden = "reasoning" in self.offer.capabilities
        seen = max(self.seen_bytes, self.told_tokens) + more_tokens * call.choices
        output = most if hidden else max(min(most, seen), self.told_tokens)
        return Usage(input_tokens=call.input_tokens, output_tokens=output)

    def _worst(self) -> Usage:
        call = self.visit.call
        return Usage(input_tokens=call.input_tokens, output_tokens=call.max_output_tokens * call.choices)

    async def _settle(
        self,
        usage: Usage,
        certainty: Certainty,
        outcome: str,
        reason: str,
        upstream_nanodollars: int = 0,
        status: int | None = 200,
        code: str = "",
    ) -> None:
        hold = self._leave_place()
        if hold is None:
            return
        nanodollars = self._price(usage, certainty)
        if certainty != "upstream" and not self.offer.price.known:
            certainty = "unpriced"
        await self._desk.ledger.settle(
            hold,
            nanodollars,
            usage,
            certainty,
            reason=_plain(reason),
            upstream_nanodollars=upstream_nanodollars,
        )
        self.visit.nanodollars += nanodollars + upstream_nanodollars
        self._record(outcome, status, code or ("" if outcome == "answered" else reason), nanodollars, usage)

    def _price(self, usage: Usage, certainty: Certainty) -> int:
        machine = self.endpoint.machine.end(self._weight, self._mark, self._desk.clock.monotonic())
        if certainty == "upstream":
            return machine
        price = self.offer.price
        tokens = price.cost(usage) if certainty == "exact" else self._most_cost(usage)
        return tokens + machine

    def _most_cost(self, usage: Usage) -> int:
        return self.offer.price.worst_cost(usage.input_tokens, usage.output_tokens)

    def _release(self, reason: str, outcome: str, status: int | None, code: str) -> None:
        hold = self._leave_place()
        if hold is None:
            return
        if self._sent:
            self.endpoint.machine.end(self._weight, self._mark, self._desk.clock.monotonic())
        self._desk.ledger.release(hold, _plain(reason))
        self._record(outcome, status, code or reason, 0, Usage())

    def _leave_place(self) -> Hold | None:
        """Give the place back, once; the hold if it is still to be ended."""
        if self._inside:
            self._inside = False
            self.endpoint.leave()
        hold, self._hold = self._hold, None
        return hold

    def _record(self, outcome: str, status: int | None, error: str, nanodollars: int, usage: Usage) -> None:
        self.visit.attempts.append(
            AttemptRecord(
                id=self.id,
                endpoint=self.endpoint.name,
                model=self.planned.model,
                at=self._at,
                seconds=self.seconds,
                first_token_seconds=self.first_token_seconds,
                outcome=outcome,  # type: ignore[arg-type]
                status=status,
                error=_plain(error),
                nanodollars=nanodollars,
                usage=usage,
            )
        )

    async def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def refusal_of(endpoint: Endpoint, answer: Answer, body: bytes) -> UpstreamError:
    """The error an endpoint answered with; its own words are kept. A budget of the house is the client's matter."""
    status = answer.status
    of_the_house = status == 402 and endpoint.settings.style == "trimtab"
    fault = (status in _ENDPOINT_FAULTS or status >= 500 or status < 400) and not of_the_house
    code = BudgetExceeded.code if of_the_house else "upstream_error" if fault else "upstream_refused"
    return UpstreamError(
        f"endpoint {endpoint.name} answered {status}: {endpoint.masked(error_message(body))}",
        endpoint=endpoint.name,
        status=status,
        code=code,
        retryable=fault,
        billable=False,
        retry_after_seconds=_retry_after(answer.headers.get("retry-after")),
        body=body,
    )


def reason_of(error: BaseException) -> str:
    """Why an attempt ends that nobody waits for any more, in the ledger's words."""
    if isinstance(error, CallError):
        return error.message
    return LOST_HEDGE if LOST_HEDGE in error.args else "the client went away"


def _plain(reason: str) -> str:
    """An endpoint's or a verifier's words as every store keeps them: short, no NUL, no half characters."""
    return reason[:300].replace("\x00", "?").encode("utf-8", "replace").decode()


def _retry_after(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_RETRY_SECONDS) if seconds >= 0 else None


def _is_endpoint_fault(error: UpstreamError) -> bool:
    return error.status != 429 and error.retryable
