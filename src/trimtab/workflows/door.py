"""The door for model calls of hosted graphs: a request that never leaves the process, put to `dispatch` with the
run, step, tenant, priority and deadline it belongs to."""

import hashlib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol

import msgspec
from msgspec.structs import replace

from trimtab.core import Clock, Surface
from trimtab.core.errors import CallError, DeadlineExceeded, Forbidden, NotFound, Unsure
from trimtab.dispatch import Dispatch, Hints, Inbound, PlainReply, Reply, StreamReply
from trimtab.tenants import KeyFacts
from trimtab.wire import error_event
from trimtab.workflows.place import RUN, CallName, RunPlace, StepPlace, here
from trimtab.workflows.unsure import UnsureSteps, ask_about

_log = logging.getLogger(__name__)


class ErrorTeller(Protocol):
    """How errors look in HTTP; it is the gateway's to say."""

    def __call__(self, error: CallError, surface: Surface) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer: whole, or in pieces that are to be exhausted or closed."""

    status: int
    headers: Mapping[str, str]
    content: bytes | AsyncGenerator[bytes, None]


class CallDoor:
    """Constructed by `app/`. `paths` says which path is which surface."""

    def __init__(
        self,
        dispatch: Dispatch,
        clock: Clock,
        paths: Mapping[str, Surface],
        tell: ErrorTeller,
        unsure: UnsureSteps,
    ) -> None:
        self._dispatch, self._clock, self._paths, self._tell = dispatch, clock, paths, tell
        self._unsure = unsure

    async def answer(self, method: str, path: str, body: bytes, own_key: str = "") -> Answer:
        """Serve one request of a node; what goes wrong is told as the gateway tells it. `own_key` is the
        idempotency key the node gave itself."""
        surface = self._paths.get(path.partition("?")[0])
        try:
            if surface is None or method != "POST":
                raise NotFound(f"hosted graphs can POST to {', '.join(self._paths)}, not {method} {path}")
            return await self._serve(surface, body, own_key)
        except CallError as error:
            status, shown, headers = self._tell(error, surface or "chat")
            return Answer(status, {"content-type": "application/json", **headers}, shown)

    async def _serve(self, surface: Surface, body: bytes, own_key: str) -> Answer:
        place = RUN.get()
        if place is None:
            raise Forbidden(
                "this call belongs to no run: it was made outside of a hosted graph, or in a thread started without "
                "its context (use contextvars.copy_context().run)"
            )
        await place.sure()
        step = here()
        name = place.name_call(step, body)
        hints = self._hints(place, step, _scoped(place, own_key) if own_key else name.key if name else "")
        reply = await self._ask(Inbound(surface, body, hints=hints, bearer=_bearer(place)), place, name)
        headers = dict(reply.headers)
        if isinstance(reply, PlainReply):
            return Answer(200, {"content-type": "application/json", **headers}, reply.body)
        first = await anext(reply.pieces, b"")
        return Answer(
            200, {"content-type": "text/event-stream", **headers}, self._pieces(reply, first, surface, place)
        )

    async def _ask(self, inbound: Inbound, place: RunPlace, name: CallName | None) -> Reply:
        try:
            if name is None or not self._unsure.asks(place.workflow):
                return await self._dispatch.answer(inbound)
            decided = await self._unsure.decided(name)
            try:
                return await self._dispatch.answer(replace(inbound, asks=True, decided=decided))
            except Unsure as unsure:
                raise ask_about(unsure, name) from unsure
        except CallError:
            raise
        except Exception as error:  # a fault of ours is told in the SDK's shape, not as a fault of the node
            raise _fault(error, place) from error

    async def _pieces(
        self, reply: StreamReply, first: bytes, surface: Surface, place: RunPlace
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(reply.pieces) as pieces:
            yield first
            try:
                async for piece in pieces:
                    yield piece
            except CallError as error:
                yield error_event(surface, error.message, "api_error", error.code)
            except Exception as error:  # as above
                fault = _fault(error, place)
                yield error_event(surface, fault.message, "api_error", fault.code)

    def _hints(self, place: RunPlace, step: StepPlace, idempotency: str) -> Hints:
        left = None if place.deadline is None else place.deadline - self._clock.now()
        if left is not None and left <= 0:
            raise DeadlineExceeded("the run's deadline passed before this call")
        return Hints(
            run=place.run,
            step=step.step,
            workflow=place.workflow,
            user=place.user,
            priority=place.priority,
            timeout_seconds=left,
            idempotency=idempotency,
            source="hosted",
        )


def _bearer(place: RunPlace) -> KeyFacts:
    return KeyFacts(id=place.key, tenant=place.tenant, user=place.user, models=place.models)


def _scoped(place: RunPlace, key: str) -> str:
    """A node's own key, told apart from other tenants'."""
    return hashlib.sha256(msgspec.json.encode((place.tenant, key))).hexdigest()


def _fault(error: Exception, place: RunPlace) -> CallError:
    _log.error("a call failed by a fault of ours (run %r)", place.run, exc_info=error)
    return CallError("the call failed inside the house; its log says why", code="internal_error")
