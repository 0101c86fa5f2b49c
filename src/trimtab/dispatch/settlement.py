"""The money of one attempt: its hold, and the one end of it, an entry or a release. The only door of attempts
to the ledger.
"""

import asyncio
from typing import Literal

import msgspec

from trimtab.core import AttemptRecord, Clock, Hold, IdSource, Offer, PlannedAttempt, Usage
from trimtab.core.errors import DeadlineExceeded
from trimtab.dispatch.reckoning import Bill
from trimtab.dispatch.visit import Visit
from trimtab.ledger import Ledger
from trimtab.pool import Endpoint, Http

Outcome = Literal["answered", "rejected", "failed", "cancelled", "lost_hedge"]


class Desk:
    """What every attempt works with; constructed by `app/`."""

    def __init__(self, ledger: Ledger, http: Http, clock: Clock, ids: IdSource) -> None:
        self.ledger, self.http, self.clock, self.ids = ledger, http, clock, ids


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How an attempt went, for ledger and trace: `status` as the endpoint answered, `code` of its error."""

    outcome: Outcome
    reason: str = ""
    status: int | None = 200
    code: str = ""

    @property
    def error(self) -> str:
        """What the trace shows."""
        return self.code or ("" if self.outcome == "answered" else self.reason)


class Settlement:
    """Opened by `hold`, ended by the first `settle` or `release`; later ones do nothing."""

    def __init__(
        self, desk: Desk, visit: Visit, endpoint: Endpoint, planned: PlannedAttempt, offer: Offer
    ) -> None:
        self._desk, self._visit, self._endpoint, self._offer = desk, visit, endpoint, offer
        self._planned = planned
        self._at = desk.clock.now()
        self.id = desk.ids.new(self._at)
        self.started = desk.clock.monotonic()
        self.first_token_seconds: float | None = None
        self._hold: Hold | None = None
        self._weight = visit.call.input_tokens + visit.call.max_output_tokens
        self._mark: float | None = None

    @property
    def seconds(self) -> float:
        """Since the attempt got its place."""
        return self._desk.clock.monotonic() - self.started

    @property
    def is_sent(self) -> bool:
        """Whether the request went out."""
        return self._mark is not None

    def begin(self) -> None:
        """The attempt got its place."""
        self.started = self._desk.clock.monotonic()

    def send(self) -> None:
        """The request goes out: from here on a machine's time runs."""
        self._mark = self._endpoint.machine.begin(self._weight, self.started)

    async def hold(self, worst_nanodollars: int) -> None:
        """Set the worst case aside; the call's own deadline does not wait for others' holds to settle.

        Raises BudgetExceeded, LedgerUnavailable, DeadlineExceeded.
        """
        visit, desk = self._visit, self._desk
        if visit.meters:
            # A key's limit may have been changed while the call waited; its windows are those it came in.
            visit.meters = desk.ledger.meters(visit.call.who, visit.call.at)
        holding = desk.ledger.hold(
            self.id,
            visit.call.id,
            visit.call.who,
            visit.meters,
            self._endpoint.name,
            self._planned.model,
            worst_nanodollars,
        )
        if visit.call.deadline is None:
            self._hold = await holding
            return
        try:
            async with asyncio.timeout(visit.left_seconds(desk.clock.now())):
                self._hold = await holding
        except TimeoutError as error:
            raise DeadlineExceeded("the call's own deadline passed before money was set aside") from error

    async def settle(self, bill: Bill, ending: Ending) -> None:
        """Enter what the attempt cost. Raises LedgerUnavailable."""
        hold, self._hold = self._hold, None
        if hold is None:
            return
        nanodollars = bill.nanodollars + self._machine_part()
        certainty = bill.certainty
        if certainty != "upstream" and not self._offer.price.known:
            certainty = "unpriced"
        await self._desk.ledger.settle(
            hold,
            nanodollars,
            bill.usage,
            certainty,
            reason=_plain(ending.reason or bill.reason),
            upstream_nanodollars=bill.upstream_nanodollars,
        )
        self._visit.nanodollars += nanodollars + bill.upstream_nanodollars
        self._record(ending, nanodollars, bill.usage)

    def release(self, ending: Ending) -> None:
        """Give the hold back: the endpoint cannot have charged."""
        hold, self._hold = self._hold, None
        if hold is None:
            return
        if self.is_sent:
            self._machine_part()
        self._desk.ledger.release(hold, _plain(ending.reason))
        self._record(ending, 0, Usage())

    def _machine_part(self) -> int:
        return self._endpoint.machine.end(self._weight, self._mark or 0.0, self._desk.clock.monotonic())

    def _record(self, ending: Ending, nanodollars: int, usage: Usage) -> None:
        self._visit.attempts.append(
            AttemptRecord(
                id=self.id,
                endpoint=self._endpoint.name,
                model=self._planned.model,
                at=self._at,
                seconds=self.seconds,
                first_token_seconds=self.first_token_seconds,
                outcome=ending.outcome,
                status=ending.status,
                error=_plain(ending.error),
                nanodollars=nanodollars,
                usage=usage,
            )
        )


def _plain(reason: str) -> str:
    """An endpoint's or a verifier's words as every store keeps them: short, no NUL, no half characters."""
    if not reason:
        return reason
    return reason[:300].replace("\x00", "?").encode("utf-8", "replace").decode()
