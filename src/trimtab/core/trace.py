"""The record of a call as it is stored and exported."""

from typing import Literal

import msgspec

from trimtab.core.call import Call
from trimtab.core.decision import ControllerDecision, Decision
from trimtab.core.usage import Usage

CallStatus = Literal["ok", "refused", "failed", "cancelled"]


class AttemptRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One try at one endpoint: when, how long (seconds), how it ended, what it cost (nanodollars)."""

    id: str
    endpoint: str
    model: str
    at: float
    seconds: float
    first_token_seconds: float | None
    outcome: Literal["answered", "rejected", "failed", "cancelled", "lost_hedge"]
    status: int | None = None
    error: str = ""
    nanodollars: int = 0
    usage: Usage = Usage()


class CallRecord(msgspec.Struct, frozen=True, gc=False, tag="call"):
    """One finished call. `request` and `reply` are the client's bytes, as the content setting left them."""

    call: Call
    status: CallStatus
    seconds: float
    first_token_seconds: float | None = None
    code: str = ""
    http_status: int = 200
    model: str = ""
    endpoint: str = ""
    usage: Usage = Usage()
    nanodollars: int = 0
    answered_by: Literal["model", "recall", "controller", "person", "none"] = "model"
    decision: Decision | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    request: bytes = b""
    reply: bytes = b""
    controllers: tuple[ControllerDecision, ...] = ()


class OutcomeRecord(msgspec.Struct, frozen=True, gc=False, tag="outcome"):
    """Whether a run did its job: `reward` in 0..1, who says so and why."""

    tenant: str
    run: str
    at: float
    reward: float
    by: str = ""
    reason: str = ""
