"""What comes into the hallway and what goes out of it, free of HTTP."""

from collections.abc import AsyncGenerator

import msgspec

from trimtab.core import RunSource, Surface
from trimtab.tenants import KeyFacts


class Hints(msgspec.Struct, frozen=True, gc=False):
    """What a request's headers say of its run. `trace` is the trace id of a W3C traceparent; `idempotency` names the
    call: a client's own `idempotency-key`, or a name of ours where the source is `hosted`."""

    run: str = ""
    step: str = ""
    workflow: str = ""
    user: str = ""
    task: str = ""
    agent: str = ""
    parent_call: str = ""
    trace: str = ""
    baggage: tuple[tuple[str, str], ...] = ()
    priority: int = 0
    timeout_seconds: float | None = None
    ends_run: bool = False
    gateways: int = 0
    idempotency: str = ""
    source: RunSource = "headers"

    @property
    def from_gateway(self) -> bool:
        """Whether another gateway of ours sent this; `gateways` is how many it came through."""
        return self.gateways > 0


NO_HINTS = Hints()


class Inbound(msgspec.Struct, frozen=True):
    """One request: `key` is what the client presented ('' if nothing). `bearer` stands for a key where the house
    itself calls, for a run whose tenant it knows.

    `asks`: where only a reply nobody verifies would be left, Unsure is raised instead; `decided` is the reply, in
    chat's shape, that a person decided on then.
    """

    surface: Surface
    body: bytes
    key: str = ""
    loopback: bool = False
    hints: Hints = NO_HINTS
    bearer: KeyFacts | None = None
    asks: bool = False
    decided: bytes = b""


class PlainReply(msgspec.Struct, frozen=True):
    """A whole reply."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class StreamReply(msgspec.Struct, frozen=True):
    """A reply in pieces of server-sent events. The consumer must exhaust or `aclose` `pieces`."""

    pieces: AsyncGenerator[bytes, None]
    headers: tuple[tuple[str, str], ...]


Reply = PlainReply | StreamReply
