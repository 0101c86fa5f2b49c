"""Errors as HTTP: the only place that gives them statuses, in the shape of the surface they answer."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from trimtab.core import Surface, usd_text
from trimtab.core.errors import (
    BadRequest,
    BudgetExceeded,
    CallError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    LedgerUnavailable,
    NotFound,
    QueueFull,
    RateLimited,
    RunCancelled,
    TooLarge,
    Unauthenticated,
    UnknownModel,
    UpstreamError,
)
from trimtab.wire import anthropic_error

_STATUS: Mapping[type[CallError], int] = {
    BadRequest: 400,
    Unauthenticated: 401,
    BudgetExceeded: 402,
    Forbidden: 403,
    UnknownModel: 404,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    RateLimited: 429,
    QueueFull: 429,
    RunCancelled: 499,
    LedgerUnavailable: 503,
    DeadlineExceeded: 504,
}
_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_CLIENTS_FAULTS = (400, 413, 422)
_json = msgspec.json.Encoder()


def status_of(error: CallError) -> int:
    """The HTTP status. What an endpoint said of the client's own request is passed on."""
    if isinstance(error, UpstreamError):
        if error.status in _CLIENTS_FAULTS:
            return error.status
        if error.status == 429 or error.code == BudgetExceeded.code:
            return error.status or 502
        return 504 if error.code in ("upstream_timeout", "upstream_idle_timeout") else 502
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def error_reply(error: CallError, surface: Surface = "chat") -> tuple[int, bytes, dict[str, str]]:
    """Status, body and extra headers of an error."""
    status = status_of(error)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if surface == "messages":
        return status, anthropic_error(error.message, _ANTHROPIC_TYPES.get(status, "api_error")), headers
    inner: dict[str, object] = {
        "message": error.message,
        "type": _TYPES.get(status, "api_error"),
        "param": error.param,
        "code": error.code,
    }
    return status, _json.encode({"error": inner | _facts(error)}), headers


def _facts(error: CallError) -> dict[str, object]:
    """What a client can act on, beyond OpenAI's four fields."""
    if isinstance(error, BudgetExceeded):
        resets = error.resets_at
        return {
            "budget": error.budget,
            "limit_usd": usd_text(error.limit),
            "spent_usd": usd_text(error.spent),
            "resets_at": None if resets is None else datetime.fromtimestamp(resets, UTC).isoformat(),
        }
    if isinstance(error, UpstreamError):
        return {"endpoint": error.endpoint, "upstream_status": error.status}
    return {}
