"""One endpoint as it stands: places in flight, who waits for one, breaker, latencies, machine cost."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from trimtab.config import EndpointSettings
from trimtab.core import Call, Clock, Usage
from trimtab.core.errors import DeadlineExceeded, QueueFull
from trimtab.pool.machine import MachineCost
from trimtab.scheduling import Breaker, BreakerRules, Event, FairQueue, Latency, admits, after

_ASSUMED_SECONDS = 2.0
_ASSUMED_P95_SECONDS = 20.0
_ASSUMED_FIRST_TOKEN_SECONDS = 0.5
_SPEED_SECONDS = 0.2


class Speed(msgspec.Struct, frozen=True, gc=False):
    """Seconds of an endpoint's replies; guesses before the first one."""

    p50: float
    p95: float
    first_token_p50: float


class Waiter:
    """A call waiting for a place."""

    __slots__ = ("ready",)

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Endpoint:
    """Runtime state of one endpoint. All methods run on the event loop; times are the clock's monotonic."""

    def __init__(self, settings: EndpointSettings, secret: str, clock: Clock, tenant_limit: int) -> None:
        self.settings, self.secret, self._clock = settings, secret, clock
        self.name = settings.name
        self.in_flight = 0
        self.held: Callable[[], int] = _none
        self.share = settings.concurrency
        self.queue: FairQueue[Waiter] = FairQueue(tenant_limit, settings.max_queued)
        self.latency = Latency()
        self.first_token = Latency()
        self.machine = MachineCost(settings.gpu_hour_usd)
        self.loads: Callable[[str, float], Awaitable[Callable[[], None]]] | None = None
        self._reasons: dict[str, bool] = {}
        self._speed_at = float("-inf")
        self._speed = self._measured()
        self._breaker = Breaker()
        self._rules = BreakerRules(
            consecutive_failures=settings.breaker.failures,
            cooldown_seconds=settings.breaker.cooldown_seconds,
            cooldown_cap_seconds=settings.breaker.max_cooldown_seconds,
        )

    @property
    def available(self) -> bool:
        """False while the breaker is open."""
        return admits(self._breaker, self._clock.monotonic())

    @property
    def breaker_state(self) -> str:
        """closed, open or half_open."""
        return self._breaker.state

    def masked(self, said: str) -> str:
        """What the endpoint said, without our key: some repeat it when they refuse it."""
        return said.replace(self.secret, "***") if self.secret else said

    def note(self, event: Event) -> None:
        """Tell the breaker how an attempt went."""
        self._breaker = after(self._breaker, event, self._clock.monotonic(), self._rules)

    def note_usage(self, model: str, usage: Usage) -> None:
        """What a whole reply of `model` cost in tokens."""
        if usage.reasoning_tokens:
            self._reasons[model] = True
        elif model not in self._reasons:
            self._reasons[model] = False

    def reasons(self, model: str) -> bool | None:
        """Whether `model` has told reasoning tokens here; None before its first reply with usage."""
        return self._reasons.get(model)

    @property
    def queued(self) -> int:
        """Calls that wait for it, here or with a scheduler."""
        return len(self.queue) + self.held()

    @property
    def speed(self) -> Speed:
        """Latencies as they have been lately; looked up anew a few times a second, not for every call."""
        now = self._clock.monotonic()
        if now - self._speed_at > _SPEED_SECONDS:
            self._speed_at = now
            self._speed = self._measured()
        return self._speed

    def _measured(self) -> Speed:
        p50 = self.latency.p50_seconds or _ASSUMED_SECONDS
        first = self.first_token.p50_seconds or min(p50, _ASSUMED_FIRST_TOKEN_SECONDS)
        return Speed(p50, self.latency.p95_seconds or _ASSUMED_P95_SECONDS, first)

    def share_out(self, processes: int) -> None:
        """Our part of the endpoint's concurrency among so many processes; at least one."""
        self.share = max(1, self.settings.concurrency // max(1, processes))
        self._let_in()

    async def enter(self, call: Call, weight: float, seconds: float, most_queued: int) -> None:
        """Take a place, waiting fairly for at most `seconds`, where fewer than `most_queued` calls of the
        tenant wait already. Raises QueueFull, DeadlineExceeded.
        """
        if self.in_flight < self.share and not len(self.queue):
            self.in_flight += 1
            return
        waiter, tenant = Waiter(), call.who.tenant
        has_room = self.queue.queued(tenant) < most_queued
        if not (has_room and self.queue.push(waiter, tenant, weight, call.priority)):
            raise QueueFull(
                f"the queue of endpoint {self.name} is full", retry_after_seconds=max(1.0, self.speed.p50)
            )
        try:
            async with asyncio.timeout(seconds):
                await waiter.ready
        except TimeoutError as error:
            self._withdraw(waiter)
            raise DeadlineExceeded(f"no place at endpoint {self.name} within {seconds:.1f} s") from error
        except BaseException:
            self._withdraw(waiter)
            raise

    async def ready(self, model: str, seconds: float) -> Callable[[], None]:
        """Have `model` in the engine's memory, within `seconds`: an adapter, a model that is loaded on demand, an
        engine that sleeps. Call what is given when the call is over. Raises UpstreamError.
        """
        return _nothing if self.loads is None else await self.loads(model, seconds)

    def leave(self) -> None:
        """Give a place back and let the next one in."""
        self.in_flight -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self.in_flight < self.share:
            waiter = self.queue.pop()
            if waiter is None:
                return
            if not waiter.ready.done():
                self.in_flight += 1
                waiter.ready.set_result(None)

    def _withdraw(self, waiter: Waiter) -> None:
        """A waiter that gave up at the very moment it was let in hands its place on."""
        if not self.queue.remove(waiter) and waiter.ready.done() and not waiter.ready.cancelled():
            self.leave()


def _nothing() -> None:
    pass


def _none() -> int:
    return 0
