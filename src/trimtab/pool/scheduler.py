"""The live scheduler: keeps the standings of endpoints, and lets calls wait here until the policy binds them to one.

Everything that decides is in `trimtab.scheduling`, which the simulator runs too; this tells it what happens.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from trimtab.config import SchedulingSettings, StepSettings
from trimtab.core import Call, Clock, Usage
from trimtab.core.errors import DeadlineExceeded, QueueFull, UpstreamError
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.pool import Pool
from trimtab.pool.prompts import marks_of
from trimtab.pool.run_book import RunBook
from trimtab.pool.seat import Seat
from trimtab.scheduling import (
    Demand,
    Limit,
    LimitRules,
    PrefixBook,
    Roll,
    Speed,
    Standing,
    Terms,
    WaitingRoom,
    keeps_floors,
    meets,
    scheduling_policy,
    spill,
    worst_nanodollars,
)

_CACHE_TOKENS = 1_000_000
_BEGINNING = 1_767_225_600.0
_LOOK_SECONDS = 1.0
_ANY_STEP = StepSettings()


class Ask(msgspec.Struct, frozen=True):
    """A call that wants a place. `among`: the endpoints that may serve it, best first; `step`: what it may ask for;
    `most_queued`: calls of its tenant that may wait here; `heard`: whether its first token will be told. `external`:
    others' APIs that may serve it too, for which its run may spend `spill_nanodollars`."""

    call: Call
    model: str
    body: bytes
    among: tuple[str, ...]
    weight: float = 1.0
    most_queued: int = 256
    step: StepSettings = _ANY_STEP
    external: tuple[str, ...] = ()
    spill_nanodollars: int = 0
    heard: bool = True


class Scheduler:
    """Constructed by `app/`. All methods run on the event loop."""

    def __init__(self, settings: SchedulingSettings, pool: Pool, clock: Clock) -> None:
        """Raises ConfigError for a policy there is none of."""
        endpoints = pool.endpoints
        self._policy = scheduling_policy(settings.policy)
        self._clock, self._endpoints = clock, endpoints
        self._rules = {
            name: LimitRules(least=1, most=one.share, tolerated_seconds=settings.wait_seconds)
            for name, one in endpoints.items()
        }
        self.standings = {
            name: Standing(index, _terms(one, pool)) for index, (name, one) in enumerate(endpoints.items())
        }
        for name, endpoint in endpoints.items():
            endpoint.held = partial(getattr, self.standings[name], "waiting")
        self._roll = Roll(list(self.standings.values()))
        self._book = PrefixBook([one.terms.kv_tokens for one in self.standings.values()])
        self._room = WaitingRoom(
            self._roll, self._book, self._policy.chooser, self._policy.key, settings.max_waiting
        )
        self._runs, self._turn = RunBook(), 0
        self._waiting: Counter[str] = Counter()
        self._telling: set[str] = set()
        self._trying: dict[str, Seat] = {}
        self._tick: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> Mapping[str, int]:
        """Calls that wait, by the endpoint they would go to now."""
        return {name: one.waiting for name, one in self.standings.items()}

    @property
    def late_share(self) -> float:
        """Of the runs heard of lately, those past their deadline."""
        return self._runs.late_share(self.now())

    def share_out(self) -> None:
        """Endpoints' shares of concurrency have changed."""
        for name, endpoint in self._endpoints.items():
            standing, rules = self.standings[name], self._rules[name]
            self._rules[name] = msgspec.structs.replace(rules, most=endpoint.share)
            level = (
                endpoint.share if rules.most < endpoint.share else min(standing.limit.level, endpoint.share)
            )
            standing.limit = Limit(float(level), standing.limit.shrunk_at)
            self._refill(standing)

    async def seat(self, ask: Ask, seconds: float) -> Seat:
        """A place at one of the endpoints, waiting for at most `seconds`. Raises QueueFull, DeadlineExceeded,
        UpstreamError."""
        self._look()
        demand = self._demand(ask)
        spilled = self._spill(demand, ask)
        if spilled is not None:
            return spilled
        if not ask.among:
            raise QueueFull(
                f"no endpoint of ours for {ask.model} is up, and the run may not spill",
                retry_after_seconds=1.0,
            )
        self._require_able(demand, ask)
        chosen = None if self._policy.holds else self._room.pick(demand)
        if chosen is None or chosen.outstanding >= self._endpoints[chosen.name].share:
            if not self._is_free(demand):
                self._require_room(ask)
            chosen = self._room.arrive(demand)
        if chosen is not None:
            return self._seat(demand, chosen, ask)
        return await self._wait(demand, ask, seconds)

    def pick_able(self, ask: Ask, endpoints: Sequence[str]) -> str:
        """The first of one or more endpoints, up or down, that keeps the floors of the call's step. Raises
        UpstreamError."""
        quality, precision = ask.step.quality_floor, ask.step.precision_floor
        for name in endpoints:
            if keeps_floors(self.standings[name].terms, quality, precision):
                return name
        raise _unable(ask, endpoints)

    def _spill(self, demand: Demand, ask: Ask) -> Seat | None:
        """A place at an external endpoint, where the rule says so; the worst case is taken off the run's allowance."""
        if not (ask.external and ask.spill_nanodollars):
            return None
        demand.run.spill_nanodollars = ask.spill_nanodollars
        # Its tokens as money counts them: at most a byte each.
        worst = msgspec.structs.replace(
            demand, among=frozenset(ask.external), input_tokens=ask.call.input_tokens
        )
        local = self._room.pick(demand) if ask.among else None
        others = [one for one in self._roll.external(worst) if one.room]
        chosen = spill(worst, local, others, self._book.hits(demand.marks), self.now())
        if chosen is None:
            return None
        seat = self._seat(demand, chosen, ask)
        seat.held_nanodollars = worst_nanodollars(worst, chosen.terms)
        demand.run.spilled_nanodollars += seat.held_nanodollars
        return seat

    def _require_able(self, demand: Demand, ask: Ask) -> None:
        """Nobody waits for an endpoint that there is none of. Raises UpstreamError."""
        if not any(meets(demand, one) for one in self.standings.values()):
            raise _unable(ask, ask.among)

    def _require_room(self, ask: Ask) -> None:
        """A call has to wait: whether it may. Raises QueueFull."""
        tenant, retry = (
            ask.call.who.tenant,
            max(1.0, min(self._endpoints[each].speed.p50 for each in ask.among)),
        )
        if self._waiting[tenant] >= ask.most_queued:
            raise QueueFull(
                f"{ask.most_queued} calls of tenant {tenant} wait already", retry_after_seconds=retry
            )
        most = sum(self._endpoints[each].settings.max_queued for each in ask.among)
        if sum(self.standings[each].waiting for each in ask.among) >= most:
            named = ", ".join(ask.among)
            raise QueueFull(f"{most} calls wait for {named} already", retry_after_seconds=retry)

    def _is_free(self, demand: Demand) -> bool:
        chosen = self._room.pick(demand)
        return chosen is not None and chosen.room

    async def _wait(self, demand: Demand, ask: Ask, seconds: float) -> Seat:
        tenant, waiter = ask.call.who.tenant, demand.tag
        assert isinstance(waiter, _Waiter)
        self._waiting[tenant] += 1
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_on)
        try:
            async with asyncio.timeout(seconds):
                return await waiter.ready
        except TimeoutError as error:
            self._withdraw(demand, waiter)
            raise DeadlineExceeded(f"no place at {' or '.join(ask.among)} within {seconds:.1f} s") from error
        except BaseException:
            self._withdraw(demand, waiter)
            raise
        finally:
            self._waiting[tenant] -= 1
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def _withdraw(self, demand: Demand, waiter: "_Waiter") -> None:
        """A waiter that gave up at the very moment it was let in hands its place on."""
        if not self._room.remove(demand) and waiter.ready.done() and not waiter.ready.cancelled():
            waiter.ready.result().leave()

    def _demand(self, ask: Ask) -> Demand:
        call, now = ask.call, self.now()
        run = self._runs.standing(call, ask.weight, now)
        self._turn += 1
        return Demand(
            run=run,
            step=call.who.step,
            turn=self._turn,
            arrived=now,
            input_tokens=call.likely_input_tokens,
            output_tokens=self._runs.expected_tokens(call),
            remaining_seconds=self._runs.left_seconds(call, run),
            marks=marks_of(ask.body, ask.model),
            quality_floor=ask.step.quality_floor,
            precision_floor=ask.step.precision_floor,
            model=ask.model,
            role=ask.step.role,
            among=frozenset(ask.among),
            most_output_tokens=call.max_output_tokens * call.choices,
            tag=_Waiter(ask),
        )

    def _seat(self, demand: Demand, standing: Standing, ask: Ask) -> Seat:
        hit = min(self._book.hits(demand.marks).get(standing.index, 0), max(0, demand.input_tokens - 1))
        predicted = standing.prompt_seconds(demand.input_tokens - hit, hit)
        rank = self._policy.key(demand, predicted)
        seat = Seat(self, demand, standing, ask.call, hit, predicted, rank)
        endpoint = self._endpoints[standing.name]
        seat.take(endpoint, heard=ask.heard)
        self._runs.opened(demand.run, 1)
        if endpoint.breaker_state != "closed":
            # After a rest one call tries it; the others wait for how that goes.
            self._trying[standing.name] = seat
            self._set_available(standing, available=False)
        return seat

    def _look(self) -> None:
        """Endpoints whose breaker opened or closed; what waited for them is offered anew."""
        changed = [
            standing
            for name, standing in self.standings.items()
            if self._is_up(name) is not standing.available
        ]
        for standing in changed:
            self._set_available(standing, available=not standing.available)
        if changed:
            for demand, standing in self._room.reoffer():
                self._let_in(demand, standing)

    def _is_up(self, name: str) -> bool:
        trying = self._trying.get(name)
        # Once the call that tries it was sent, the breaker itself lets nobody else in.
        return self._endpoints[name].available and (trying is None or trying.is_sent)

    def _set_available(self, standing: Standing, *, available: bool) -> None:
        standing.available = available
        self._roll.changed()

    def _look_on(self) -> None:
        """As long as calls wait: an endpoint that rests from failures comes back without a word."""
        self._tick = None
        self._look()
        for standing in self.standings.values():
            self._refill(standing)
        if len(self._room):
            self._tick = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_on)

    def _refill(self, standing: Standing) -> None:
        if len(self._room):
            for demand, chosen in self._room.freed(standing):
                self._let_in(demand, chosen)

    def _let_in(self, demand: Demand, standing: Standing) -> None:
        waiter = demand.tag
        assert isinstance(waiter, _Waiter)
        if not waiter.ready.done():
            waiter.ready.set_result(self._seat(demand, standing, waiter.ask))

    def started(self, seat: Seat) -> None:
        """A first token came."""
        self._refill(seat.standing)

    def left(self, seat: Seat, usage: Usage | None, nanodollars: int, waited_seconds: float | None) -> None:
        """A place is free again; `usage` of a whole reply, `waited_seconds` in the endpoint's queue where known."""
        standing, run = seat.standing, seat.demand.run
        self._runs.opened(run, -1)
        if self._trying.get(standing.name) is seat:
            del self._trying[standing.name]
        run.spilled_nanodollars += nanodollars - seat.held_nanodollars if seat.held_nanodollars else 0
        if waited_seconds is not None:
            now, rules = self._clock.monotonic(), self._rules[standing.name]
            standing.limit = standing.limit.after(waited_seconds, standing.outstanding + 1, now, rules)
        if usage is not None:
            self._remember(seat, usage)
            missing = max(1, usage.input_tokens - usage.cached_tokens)
            service = standing.terms.speed.service_seconds(missing, usage.output_tokens)
            self._runs.served(seat.call, run, usage.output_tokens, service)
        self._look()
        self._refill(standing)

    def _remember(self, seat: Seat, usage: Usage) -> None:
        """What the endpoint's prefix cache holds now. One that never told of cached tokens may have some."""
        standing, marks = seat.standing, seat.demand.marks
        if usage.cached_tokens:
            self._telling.add(standing.name)
        if usage.cached_tokens < seat.hit_tokens and standing.name in self._telling:
            self._book.correct(standing.index, marks, usage.cached_tokens)
        self._book.put(standing.index, marks, standing.kv_tokens - standing.context)

    def now(self) -> float:
        """Seconds since 2026 began: by it calls are ordered, alike in all gateways before one engine."""
        return self._clock.now() - _BEGINNING

    def monotonic(self) -> float:
        """Seconds of a clock that is never set: by it paces are learned."""
        return self._clock.monotonic()


class _Waiter:
    """A call until it has its place."""

    __slots__ = ("ask", "ready")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.ready: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()


def _unable(ask: Ask, endpoints: Sequence[str]) -> UpstreamError:
    return UpstreamError(
        f"no endpoint among {', '.join(endpoints)} meets what step {ask.call.who.step!r} asks for",
        endpoint=endpoints[0],
        code="endpoint_unavailable",
        retryable=False,
    )


def _terms(endpoint: Endpoint, pool: Pool) -> Terms:
    """Of its dearest and its weakest model."""
    settings = endpoint.settings
    tiers = [tier for model in settings.models for tier in pool.price(endpoint.name, model).tiers]
    weakest = min(pool.model(model).quality for model in settings.models)
    told = settings.speed
    return Terms(
        name=endpoint.name,
        speed=Speed(
            base_seconds=told.token_seconds,
            prefill_seconds=1.0 / told.prompt_tokens_per_second,
            call_seconds=told.call_seconds,
            context_seconds=told.context_seconds,
            attention_seconds=told.attention_seconds,
            chunk_tokens=told.chunk_tokens,
        ),
        models=frozenset(settings.models),
        quality=weakest if settings.quality is None else settings.quality,
        precision_bits=settings.precision_bits,
        context_tokens=settings.context_tokens or 1 << 40,
        kv_tokens=settings.kv_tokens or _CACHE_TOKENS,
        adapters=bool(settings.adapters),
        profile=settings.profile,
        input_price=max((tier.input for tier in tiers), default=0),
        output_price=max((tier.output for tier in tiers), default=0),
        hour_nanodollars=round(settings.gpu_hour_usd * 1e9),
        external=settings.external,
        most_calls=endpoint.share,
    )
