"""How attempts fail: what an endpoint's refusal means, and why an attempt ends that nobody waits for."""

from trimtab.core.errors import BudgetExceeded, CallError, UpstreamError
from trimtab.pool import Answer, Endpoint
from trimtab.wire import error_message, is_too_long

LOST_HEDGE = "lost hedge"
TOO_LONG = "context_length_exceeded"
_ENDPOINT_FAULTS = (401, 402, 403, 404, 408, 425, 429)
# A proxy says so when it lost sight of a request that it had handed on: the provider may have served it.
_MAYBE_SERVED = (502, 504, 520, 524)
_LONGEST_RETRY_SECONDS = 86_400.0


def refusal_of(endpoint: Endpoint, answer: Answer, body: bytes) -> UpstreamError:
    """The error an endpoint answered with; its own words are kept. A budget of the house is the client's matter.

    Another gateway of ours enters itself what its endpoints may have billed.
    """
    status = answer.status
    ours = endpoint.settings.style == "trimtab"
    fault = (status in _ENDPOINT_FAULTS or status >= 500 or status < 400) and not (ours and status == 402)
    return UpstreamError(
        f"endpoint {endpoint.name} answered {status}: {endpoint.masked(error_message(body))}",
        endpoint=endpoint.name,
        status=status,
        code="upstream_error" if fault else _code(status, body),
        retryable=fault,
        billable=status in _MAYBE_SERVED and not ours,
        retry_after_seconds=_retry_after(answer.headers.get("retry-after")),
        body=body,
    )


def _code(status: int, body: bytes) -> str:
    if status == 402:
        return BudgetExceeded.code
    return TOO_LONG if is_too_long(body) else "upstream_refused"


def reason_of(error: BaseException) -> str:
    """Why an attempt ends that nobody waits for any more, in the ledger's words."""
    if isinstance(error, CallError):
        return error.message
    return LOST_HEDGE if LOST_HEDGE in error.args else "the client went away"


def is_endpoint_fault(error: UpstreamError) -> bool:
    """Whether the endpoint's breaker counts it."""
    return error.status != 429 and error.retryable


def _retry_after(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_RETRY_SECONDS) if seconds >= 0 else None
