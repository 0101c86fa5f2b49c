"""Every error Trimtab raises on purpose. HTTP statuses are given to them in `gateway/`, nowhere else.

TrimtabError
├── ConfigError              settings that cannot be used: file, line, key, what was expected
├── DataError                a file to import or replay that cannot be read: file, line, field, remedy
├── StoreUnavailable         the database does not answer
└── CallError                one call cannot be served; carries a stable `code`
    ├── BadRequest           the client's body or headers are wrong (param names the field)
    ├── Unauthenticated      no key, an unknown, expired or revoked one
    ├── Forbidden            a known key that may not do this
    ├── UnknownModel         nothing serves that model (names close matches)
    ├── NotFound             no such run, call or key
    ├── Conflict             what is asked for does not go with how things stand: over, busy, taken, answered
    ├── TooLarge             body over the limit
    ├── BudgetExceeded       a hold was refused: budget, limit, spent, reset time
    ├── RateLimited          requests or tokens a minute are used up
    ├── QueueFull            the bounded queue of a tenant or endpoint is full
    ├── LedgerUnavailable    no slice left and the database away: money cannot be set aside
    ├── DeadlineExceeded     the call's own deadline passed
    ├── RunCancelled         the client went away
    ├── Unsure               a model's reply was not trusted, and a person is to be asked: the reply, and why
    └── UpstreamError        an endpoint failed: endpoint, status, retryable, whether it may have billed
"""


class TrimtabError(Exception):
    """Root of the tree. `str(error)` is fit to be shown to the person who can mend it."""


class ConfigError(TrimtabError):
    """Settings that cannot be used."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, key: str = "") -> None:
        where = f"{file}:{line}: " if file and line else (f"{file}: " if file else "")
        super().__init__(f"{where}{key + ': ' if key else ''}{message}")
        self.message, self.file, self.line, self.key = message, file, line, key


class DataError(TrimtabError):
    """Input data that cannot be read."""

    def __init__(self, message: str, *, file: str, line: int = 0, field: str = "", remedy: str = "") -> None:
        where = f"{file}:{line}" if line else file
        tail = f" ({remedy})" if remedy else ""
        super().__init__(f"{where}: {field + ': ' if field else ''}{message}{tail}")
        self.file, self.line, self.field, self.remedy = file, line, field, remedy


class StoreUnavailable(TrimtabError):
    """The database does not answer."""


class CallError(TrimtabError):
    """One call cannot be served. `code` is stable and part of the API."""

    code = "call_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        if code is not None:
            self.code = code


class BadRequest(CallError):
    """The client's body or headers are wrong."""

    code = "invalid_request"


class Unauthenticated(CallError):
    """No key, or one that does not open this door."""

    code = "invalid_api_key"


class Forbidden(CallError):
    """A known key that may not do this."""

    code = "forbidden"


class UnknownModel(CallError):
    """Nothing serves that model."""

    code = "model_not_found"


class NotFound(CallError):
    """No such thing."""

    code = "not_found"


class Conflict(CallError):
    """What is asked for does not go with how things stand: it is over, busy, taken or answered by now."""

    code = "conflict"


class TooLarge(CallError):
    """The body is over the limit."""

    code = "request_too_large"


class BudgetExceeded(CallError):
    """A hold was refused."""

    code = "budget_exceeded"

    def __init__(self, message: str, *, budget: str, limit: int, spent: int, resets_at: float | None) -> None:
        super().__init__(message)
        self.budget, self.limit, self.spent, self.resets_at = budget, limit, spent, resets_at


class RateLimited(CallError):
    """Requests or tokens a minute are used up."""

    code = "rate_limit_exceeded"


class QueueFull(CallError):
    """A bounded queue is full."""

    code = "queue_full"


class LedgerUnavailable(CallError):
    """Money cannot be set aside."""

    code = "ledger_unavailable"


class DeadlineExceeded(CallError):
    """The call's own deadline passed."""

    code = "deadline_exceeded"


class RunCancelled(CallError):
    """The client went away before the reply was complete."""

    code = "client_closed_request"


class Unsure(CallError):
    """A reply was not trusted, and a person is to be asked instead of a bigger model. Only steps of hosted runs that
    ask for it hear of it. `asked` is the last message it answers, `reply` the reply in chat's shape; `confidence` is
    the mean probability of its tokens, None where nobody told."""

    code = "unsure"

    def __init__(
        self,
        message: str,
        *,
        model: str,
        endpoint: str,
        reason: str,
        confidence: float | None,
        asked: dict[str, object],
        reply: bytes,
    ) -> None:
        super().__init__(message)
        self.model, self.endpoint, self.reason = model, endpoint, reason
        self.confidence, self.asked, self.reply = confidence, asked, reply


class UpstreamError(CallError):
    """An endpoint failed. `billable`: the endpoint may have charged for this attempt."""

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        endpoint: str,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = True,
        billable: bool = False,
        retry_after_seconds: float | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, code=code, retry_after_seconds=retry_after_seconds)
        self.endpoint, self.status = endpoint, status
        self.retryable, self.billable, self.body = retryable, billable, body
