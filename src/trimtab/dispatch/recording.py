"""Stage 10: the trace of every call, however it ended, and what metrics and spans are told of it."""

import logging
from collections.abc import Callable

from trimtab.core import CallRecord, CallStatus, Clock, Usage
from trimtab.core.errors import (
    BudgetExceeded,
    CallError,
    DeadlineExceeded,
    Forbidden,
    LedgerUnavailable,
    QueueFull,
    RateLimited,
    RunCancelled,
)
from trimtab.dispatch.visit import Visit
from trimtab.guards import redact
from trimtab.ledger import Ledger
from trimtab.store import EndRecord, Writer

_log = logging.getLogger(__name__)
_REFUSALS = (BudgetExceeded, RateLimited, QueueFull, Forbidden, LedgerUnavailable, DeadlineExceeded)
PERSON = "person"
Watcher = Callable[[CallRecord], None]


class Recording:
    """Constructed by `app/`. `watchers` (metrics, spans) see each record; they must not block or raise."""

    def __init__(
        self,
        writer: Writer,
        ledger: Ledger,
        clock: Clock,
        watchers: tuple[Watcher, ...] = (),
    ) -> None:
        self._writer, self._ledger, self._clock, self._watchers = writer, ledger, clock, watchers

    def answered(self, visit: Visit, endpoint: str, model: str, usage: Usage, reply: bytes) -> None:
        """A call that was answered by a model."""
        self._record(visit, "ok", "", 200, endpoint, model, usage, reply)

    def recalled(self, visit: Visit, model: str, reply: bytes) -> None:
        """A call that was answered from the cache."""
        self._record(visit, "ok", "", 200, "", model, Usage(), reply, answered_by="recall")

    def decided(self, visit: Visit, controller: str, reply: bytes) -> None:
        """A call that a controller answered: its name stands where a model's would."""
        self._record(visit, "ok", "", 200, "", controller, Usage(), reply, answered_by="controller")

    def decided_by_person(self, visit: Visit, reply: bytes) -> None:
        """A call whose answer a person approved or wrote."""
        self._record(visit, "ok", "", 200, "", PERSON, Usage(), reply, answered_by="person")

    def failed(self, visit: Visit, error: BaseException, reply: bytes = b"") -> None:
        """A call that was refused, failed, or whose client went away."""
        status: CallStatus = "failed"
        code, http_status = "internal_error", 500
        if isinstance(error, CallError):
            code, http_status = error.code, getattr(error, "status", None) or 0
            status = "refused" if isinstance(error, _REFUSALS) else "failed"
        if code == RunCancelled.code or not isinstance(error, Exception):
            status, code = "cancelled", RunCancelled.code
        last = visit.attempts[-1] if visit.attempts else None
        endpoint, model = (last.endpoint, last.model) if last else ("", "")
        usage = last.usage if last else Usage()
        self._record(visit, status, code, http_status, endpoint, model, usage, reply, answered_by="none")

    def _record(
        self,
        visit: Visit,
        status: CallStatus,
        code: str,
        http_status: int,
        endpoint: str,
        model: str,
        usage: Usage,
        reply: bytes,
        answered_by: str = "model",
    ) -> None:
        who = visit.call.who
        spent = usage.total_tokens or sum(attempt.usage.total_tokens for attempt in visit.attempts)
        self._ledger.finish_rates(visit.charges, spent)
        request, reply = _content_of(visit, reply)
        record = CallRecord(
            call=visit.call,
            status=status,
            seconds=self._clock.monotonic() - visit.started,
            first_token_seconds=visit.first_token_seconds,
            code=code,
            http_status=http_status,
            model=model,
            endpoint=endpoint,
            usage=usage,
            nanodollars=visit.nanodollars,
            answered_by=answered_by,  # type: ignore[arg-type]
            decision=visit.decision,
            attempts=tuple(visit.attempts),
            request=request,
            reply=reply,
            controllers=tuple(visit.controllers),
        )
        try:
            self._writer.append(record)
            if visit.inbound.hints.ends_run:
                self._writer.append(EndRecord(who.tenant, who.run, self._clock.now()))
        except OSError as error:
            # The money is settled or the call refused; what is lost is its trace.
            _log.error("call %s of run %s is not traced: %s", visit.call.id, who.run, error)
        for watch in self._watchers:
            watch(record)


def _content_of(visit: Visit, reply: bytes) -> tuple[bytes, bytes]:
    """Request and reply as the visit's content setting leaves them."""
    request = visit.inbound.body
    if visit.content == "store":
        return request, reply
    return (redact(request), redact(reply)) if visit.content == "redact" else (b"", b"")
