"""The way of a call, stage by stage. Whatever door a call came through, it walks this one hallway.

 1 admit     key, allowed models, rates
 2 guard     a gate controller, where one is enabled
 3 recall    the exact cache, where a rule asks for it
 4 decide    a controller may answer; a route controller's label is a fact for the rules   (in `decide`)
 5 route     offers -> plan, a pure function; the decision is recorded with its inputs
 6 schedule  a fair, bounded wait for a place at the endpoint    (in `attempt`; every attempt waits anew)
 7 attempt   hold, send, stream, verify; retry, hedge, fall back (in `journey` and `attempt`)
 8 guard     (no guard is built yet)
 9 settle    hold -> entry, durable before the last byte         (in `attempt`)
10 record    the trace and the metrics                           (in `recording`); then shadows look on
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import quote

import msgspec

from trimtab.config import Settings, TenantSettings
from trimtab.core import Call, Clock, IdSource
from trimtab.core.errors import BadRequest, CallError, Forbidden
from trimtab.dispatch.attribution import attribute
from trimtab.dispatch.decide import Decider
from trimtab.dispatch.form import CHAT_OPENAI, Asked
from trimtab.dispatch.inbound import Inbound, PlainReply, Reply, StreamReply
from trimtab.dispatch.journey import Journey, Whole
from trimtab.dispatch.live import Live
from trimtab.dispatch.onlooking import Onlooker
from trimtab.dispatch.ready import Ready, shown_of
from trimtab.dispatch.recording import PERSON, Recording
from trimtab.dispatch.router import Choice, Router
from trimtab.dispatch.tools import ToolPrices
from trimtab.dispatch.visit import Visit
from trimtab.ledger import Ledger
from trimtab.pool import Pool
from trimtab.recall import ExactRecall
from trimtab.tenants import KeyFacts, Keyring
from trimtab.wire import BrokenReply, encode_event, read_request

_OTHERS = TenantSettings(name="*")
_TYPICAL_OUTPUT_TOKENS = 256
_BYTES_A_TOKEN = 4
_MOST_GATEWAYS = 8


class Rooms:
    """The rooms the hallway leads through; filled by `app/`."""

    def __init__(
        self,
        keyring: Keyring,
        pool: Pool,
        router: Router,
        journey: Journey,
        ledger: Ledger,
        recall: ExactRecall,
        tools: ToolPrices | None,
        recording: Recording,
        decider: Decider,
        onlooker: Onlooker,
    ) -> None:
        self.keyring, self.pool, self.router, self.journey = keyring, pool, router, journey
        self.ledger, self.recall, self.tools, self.recording = ledger, recall, tools, recording
        self.decider, self.onlooker = decider, onlooker


class Dispatch:
    """The hallway. `answer` serves one call."""

    def __init__(self, settings: Settings, rooms: Rooms, clock: Clock, ids: IdSource) -> None:
        self._settings, self._rooms, self._clock, self._ids = settings, rooms, clock, ids
        self._tenants: Mapping[str, TenantSettings] = {tenant.name: tenant for tenant in settings.tenant}

    async def answer(self, inbound: Inbound) -> Reply:
        """The reply to one call. Raises CallError; whatever happened before is settled and recorded then."""
        key = inbound.bearer or await self._rooms.keyring.open(inbound.key, loopback=inbound.loopback)
        visit = self._visit(inbound, key)
        try:
            return await self._walk(visit)
        except BaseException as error:
            self._rooms.recording.failed(visit, error)
            raise

    async def _walk(self, visit: Visit) -> Reply:
        rooms = self._rooms
        await self._admit(visit)
        if visit.inbound.decided:
            return await self._decided_by_person(visit)
        models = await rooms.decider.steer(visit)
        choice = rooms.router.choose(visit.call, rooms.ledger.remaining(visit.meters))
        if models:
            choice = msgspec.structs.replace(choice, models=models)
        kept = await self._recall(visit, choice)
        if kept is not None:
            return kept
        ready = None if models else await rooms.decider.answer(visit)
        if ready is not None:
            return await self._decided(visit, choice, ready)
        offers = rooms.pool.offers(visit.call, choice.models)
        visit.decision = await rooms.router.decide(visit.call, choice, offers)
        visit.offers = {(offer.endpoint, offer.model): offer for offer in offers}
        if rooms.tools is not None:
            await rooms.tools.charge(visit)
        reply = await rooms.journey.travel(visit)
        if isinstance(reply, Live):
            return self._streamed(visit, reply)
        self._keep(visit, reply)
        return self._whole(visit, reply)

    def _visit(self, inbound: Inbound, key: KeyFacts) -> Visit:
        """Read the request. Raises BadRequest."""
        if inbound.hints.gateways > _MOST_GATEWAYS:
            raise BadRequest(
                f"this call came through {inbound.hints.gateways} gateways; do their endpoints lead in a circle?",
                code="gateway_loop",
            )
        now, started = self._clock.now(), self._clock.monotonic()
        facts = read_request(inbound.surface, inbound.body)
        id = self._ids.new(now)
        known = self._rooms.pool.model(facts.model)
        default = known.max_output_tokens or self._settings.ledger.default_max_output_tokens
        seconds = inbound.hints.timeout_seconds
        call = Call(
            id=id,
            at=now,
            surface=inbound.surface,
            model=facts.model,
            who=attribute(inbound.hints, facts, key, id),
            input_tokens=facts.input_tokens,
            max_output_tokens=0 if inbound.surface == "embeddings" else facts.max_output_tokens or default,
            stream=facts.stream,
            choices=facts.choices,
            tools=facts.tools,
            needs=facts.needs,
            sampled=facts.sampled,
            priority=inbound.hints.priority,
            deadline=None if seconds is None else now + seconds,
        )
        asked = Asked(inbound.body, facts.model, facts.include_usage, call.max_output_tokens)
        visit = Visit(inbound, facts, key, call, asked, started)
        tenant = self._tenants.get(key.tenant) or self._tenants.get("*") or _OTHERS
        visit.weight, visit.max_queued = tenant.weight, tenant.max_queued
        visit.content = tenant.content or self._settings.traces.content
        visit.meters = self._rooms.ledger.meters(call.who, now)
        visit.enforce_maximum = bool(visit.meters)
        return visit

    async def _admit(self, visit: Visit) -> None:
        """Stage 1. Raises Forbidden, RateLimited."""
        allowed = visit.key.models
        if allowed and visit.call.model not in allowed:
            raise Forbidden(f"this key may use {', '.join(allowed)}, not {visit.call.model!r}", param="model")
        visit.key.require("operator")
        output = min(visit.call.max_output_tokens, _TYPICAL_OUTPUT_TOKENS)
        tokens = visit.call.likely_input_tokens + output
        visit.charges = await self._rooms.ledger.admit_rates(visit.call.who, tokens)

    async def _recall(self, visit: Visit, choice: Choice) -> Reply | None:
        """Stage 3: a kept reply costs nothing. Streams are recalled in the chat shape only."""
        call = visit.call
        if not choice.recall_seconds or (call.sampled and not choice.recall_sampled):
            return None
        if call.stream and call.surface != "chat":
            return None
        visit.recall_seconds = choice.recall_seconds
        visit.digest = self._rooms.recall.digest(call.surface, visit.inbound.body)
        kept = await self._rooms.recall.find(call.who.tenant, visit.digest)
        shown = None if kept is None else _shown(visit, kept.reply)
        if kept is None or shown is None:
            return None
        await self._rooms.ledger.charge(call.id, call.id, call.who, "model", kept.model, 0, "recalled")
        self._rooms.recording.recalled(visit, kept.model, kept.reply)
        headers = (*_headers(visit), ("x-trimtab-answered-by", "recall"), _cost(visit))
        return _reply(visit, shown, headers)

    async def _decided(self, visit: Visit, choice: Choice, ready: Ready) -> Reply:
        """Stage 4: a controller's answer costs nothing; what the model would have cost is entered as an estimate."""
        rooms, call, answer = self._rooms, visit.call, ready.answer
        if rooms.tools is not None:
            await rooms.tools.charge(visit)
        saved = await self._would_cost(visit, choice, ready)
        await rooms.ledger.charge(
            call.id, call.id, call.who, "model", answer.controller, 0, "decided", saved_nanodollars=saved
        )
        rooms.recording.decided(visit, answer.controller, ready.kept)
        rooms.onlooker.look_on(visit, ready.kept, "champion")
        headers = (
            *_headers(visit),
            ("x-trimtab-answered-by", quote(f"{answer.controller}@{answer.version}", safe="/@:. ")),
            ("x-trimtab-confidence", f"{answer.confidence:.4f}"),
            _cost(visit),
        )
        return _reply(visit, ready.shown + self._cost_event(visit), headers)

    async def _decided_by_person(self, visit: Visit) -> Reply:
        """The answer of a person who was asked because the models were not sure; it costs nothing here."""
        rooms, call = self._rooms, visit.call
        shown, kept = shown_of(visit, visit.inbound.decided)
        await rooms.ledger.charge(call.id, call.id, call.who, "model", PERSON, 0, "decided by a person")
        rooms.recording.decided_by_person(visit, kept)
        headers = (*_headers(visit), ("x-trimtab-answered-by", PERSON), _cost(visit))
        return _reply(visit, shown, headers)

    async def _would_cost(self, visit: Visit, choice: Choice, ready: Ready) -> int:
        """An estimate: the plan's first attempt, at four bytes a token, nothing of it cached; 0 where a function of
        the user's own decides, which no estimate is worth."""
        rooms, call = self._rooms, visit.call
        if rooms.router.is_own_code(choice):
            return 0
        try:
            decision = await rooms.router.decide(call, choice, rooms.pool.offers(call, choice.models))
        except CallError:
            return 0
        first = decision.plan.attempts[0]
        price = rooms.pool.price(first.endpoint, first.model)
        return price.worst_cost(call.likely_input_tokens, -(-ready.said_bytes // _BYTES_A_TOKEN))

    def _keep(self, visit: Visit, reply: Whole) -> None:
        """What a tenant wants dropped or redacted in traces is not kept here as it was either."""
        if visit.digest and visit.content == "store":
            self._rooms.recall.keep(
                visit.call.who.tenant, visit.digest, reply.model, reply.kept, visit.recall_seconds
            )

    def _whole(self, visit: Visit, reply: Whole) -> Reply:
        self._rooms.recording.answered(visit, reply.endpoint, reply.model, reply.usage, reply.kept)
        self._rooms.onlooker.look_on(visit, reply.kept)
        headers = (
            *_headers(visit),
            ("x-trimtab-endpoint", reply.endpoint),
            ("x-trimtab-model", reply.model),
            _cost(visit),
        )
        return _reply(visit, reply.body + self._cost_event(visit), headers)

    def _streamed(self, visit: Visit, live: Live) -> StreamReply:
        attempt = live.attempt
        headers = (
            *_headers(visit),
            ("x-trimtab-endpoint", attempt.endpoint.name),
            ("x-trimtab-model", attempt.planned.model),
        )
        return StreamReply(self._pieces(visit, live), headers)

    async def _pieces(self, visit: Visit, live: Live) -> AsyncGenerator[bytes, None]:
        visit.first_token_seconds = self._clock.monotonic() - visit.started
        try:
            async with aclosing(live.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
            if visit.inbound.hints.from_gateway:
                yield self._cost_event(visit)
        finally:
            self._close_stream(visit, live)

    def _close_stream(self, visit: Visit, live: Live) -> None:
        if live.failure is not None:
            self._rooms.recording.failed(visit, live.failure, live.kept)
            return
        attempt = live.attempt
        model = attempt.planned.model
        if live.kept:
            self._keep(visit, Whole(b"", live.kept, live.usage, attempt.endpoint.name, model))
        self._rooms.recording.answered(visit, attempt.endpoint.name, model, live.usage, live.kept)
        self._rooms.onlooker.look_on(visit, live.kept)

    def _cost_event(self, visit: Visit) -> bytes:
        """Another gateway of ours is told in-band what its streamed call cost."""
        if not (visit.call.stream and visit.inbound.hints.from_gateway):
            return b""
        return encode_event(b'{"cost_nanodollars":%d}' % visit.nanodollars, "trimtab")


def _shown(visit: Visit, kept: bytes) -> bytes | None:
    """A kept reply as the call wants it; None where it cannot be told as a stream."""
    if not visit.call.stream or CHAT_OPENAI.stream_of_reply is None:
        return kept
    try:
        return CHAT_OPENAI.stream_of_reply(kept, visit.asked)
    except BrokenReply:
        return None


def _reply(visit: Visit, body: bytes, headers: tuple[tuple[str, str], ...]) -> Reply:
    if not visit.call.stream:
        return PlainReply(body, headers)
    return StreamReply(_once(body), headers)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _headers(visit: Visit) -> tuple[tuple[str, str], ...]:
    return (("x-trimtab-call", visit.call.id), ("x-trimtab-run", visit.call.who.run))


def _cost(visit: Visit) -> tuple[str, str]:
    return ("x-trimtab-cost-nanodollars", str(visit.nanodollars))
