"""A shelf: few places in an engine's memory, and what may stand on them. `scheduling.residency` says who stays.

Three kinds are made in `residence.py`: adapters at an endpoint, models at an Ollama, engines that share one GPU.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from trimtab.core import Clock
from trimtab.core.errors import UpstreamError
from trimtab.scheduling import Move, ResidencyRules, Resident, Reuse, Wish, free_in, move

_SINCE_EVER = float("-inf")
_LOOK_SECONDS = 1.0
_LEARNING_RATE = 0.3


class Item(msgspec.Struct, frozen=True):
    """Something that can be loaded at `endpoint`."""

    endpoint: str
    load: Callable[[], Awaitable[None]]
    unload: Callable[[], Awaitable[None]]


class Shelf:
    """All methods run on the event loop. One change at a time; who is to leave first ends the calls it has."""

    def __init__(
        self, items: Mapping[str, Item], rules: ResidencyRules, load_seconds: float, clock: Clock
    ) -> None:
        self._items, self._rules, self._clock = items, rules, clock
        self.load_seconds = load_seconds
        self._since: dict[str, float] = {}
        self._reuse = dict.fromkeys(items, Reuse())
        self._changed_at = _SINCE_EVER
        self._using = Counter[str]()
        self._released = asyncio.Event()
        self._lock = asyncio.Lock()
        self.loads = 0
        self.on_change: Callable[[], None] = lambda: None

    @property
    def loaded(self) -> frozenset[str]:
        """What stands on it, as far as we know."""
        return frozenset(self._since)

    def has(self, name: str) -> bool:
        """Whether it stands on it, as far as we know."""
        return name in self._since

    def told(self, loaded: frozenset[str], at: float) -> None:
        """The engine was asked at `at` and has `loaded`; what was asked before our last change is out of date."""
        if at <= self._changed_at or self._lock.locked():
            return
        before = self.loaded
        for name in self._items:
            if name not in loaded:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, _SINCE_EVER)
        if self.loaded != before:
            self.on_change()

    def heard(self, name: str, at: float, *, there: bool) -> None:
        """The same of one item alone."""
        self.told(self.loaded | {name} if there else self.loaded - {name}, at)

    def pays(self, name: str, saved_seconds: float) -> bool:
        """Whether loading it now saves more than it costs, where each use saves so much over going elsewhere."""
        now = self._clock.monotonic()
        wish = Wish(name, self._reuse[name].used(now), saved_seconds, self.load_seconds)
        return move(wish, self._residents(now), now, self._rules) is not None

    async def ready(self, name: str, seconds: float) -> Callable[[], None]:
        """A call is about to use it here: have it loaded, within `seconds`. Call what is given when it no longer does.

        Raises UpstreamError.
        """
        now = self._clock.monotonic()
        self._reuse[name] = self._reuse[name].used(now)
        if name not in self._since:
            await self._within(name, seconds)
        self._using[name] += 1
        return partial(self._release, name)

    async def _within(self, name: str, seconds: float) -> None:
        """Raises UpstreamError; what the engine refuses us is no fault of the call, and has no status for it."""
        try:
            async with asyncio.timeout(seconds):
                await self._load(name)
        except TimeoutError as error:
            raise self._not_loaded(name, f"within {seconds:.1f} s") from error
        except UpstreamError as error:
            raise self._not_loaded(name, f"({error.message})") from error

    def _not_loaded(self, name: str, why: str) -> UpstreamError:
        endpoint = self._items[name].endpoint
        return UpstreamError(
            f"{name} was not loaded at endpoint {endpoint} {why}",
            endpoint=endpoint,
            code="not_loaded",
            retryable=False,
            billable=False,
        )

    def _release(self, name: str) -> None:
        self._using[name] -= 1
        self._released.set()

    async def _load(self, name: str) -> None:
        while True:
            async with self._lock:
                if name in self._since:
                    return
                now = self._clock.monotonic()
                wish = Wish(name, self._reuse[name], self.load_seconds, self.load_seconds, nowhere=True)
                residents = self._residents(now)
                moved = move(wish, residents, now, self._rules)
                if moved is not None:
                    await self._make(moved)
                    return
                wait = free_in(residents, now, self._rules)
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.05, wait)))

    async def _make(self, moved: Move) -> None:
        if moved.unload:
            await self._empty(moved.unload)
            self._changed_at = self._clock.monotonic()
        began = self._clock.monotonic()
        await self._items[moved.load].load()
        now = self._changed_at = self._clock.monotonic()
        self._since[moved.load] = now
        self.on_change()
        self.load_seconds += _LEARNING_RATE * (now - began - self.load_seconds)
        self.loads += 1

    async def _empty(self, name: str) -> None:
        """Unload it, once no call uses it; new ones wait for it to come again. It stays where that fails."""
        since = self._since.pop(name)
        self.on_change()
        try:
            while self._using[name]:
                self._released.clear()
                await self._released.wait()
            await self._items[name].unload()
        except BaseException:
            self._since[name] = since
            self.on_change()
            raise

    def _residents(self, now: float) -> list[Resident]:
        seconds = self.load_seconds
        return [
            Resident(name, self._reuse[name], seconds, seconds, since) for name, since in self._since.items()
        ]
