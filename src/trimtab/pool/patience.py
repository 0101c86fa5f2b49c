"""Deadlines that hardly ever strike, kept cheaply: one timer for all that are long, instead of one for each.

An event loop's timer costs microseconds to set and to drop; every call has several deadlines of a minute or so,
and nearly all of them are dropped. Those are looked at twice a second. Short ones get a timer of their own.
"""

import asyncio
from types import TracebackType

_TICK_SECONDS = 0.5
_SHORT_SECONDS = 5.0


class Deadline:
    """A `with` block that raises TimeoutError when it takes longer than allowed. For one use, in one task."""

    __slots__ = ("_cancelling", "_keeper", "_timer", "at", "passed", "task")

    def __init__(self, keeper: "Patience", at: float) -> None:
        self._keeper, self.at = keeper, at
        self._timer: asyncio.TimerHandle | None = None
        self.passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self._cancelling = task.cancelling()
        self._timer = self._keeper.watch(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        # A cancellation by somebody else in the same moment is not ours to swallow.
        if self.passed and self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def strike(self) -> None:
        """It took too long."""
        self.passed = True
        self.task.cancel()


class Patience:
    """All deadlines of one process. Used on the event loop only."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._tick: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """`with patience.within(30): await ...`. Long deadlines may strike half a second late."""
        return Deadline(self, asyncio.get_running_loop().time() + seconds)

    def until(self, at: float) -> Deadline:
        """As `within`, by the event loop's time."""
        return Deadline(self, at)

    def watch(self, deadline: Deadline) -> asyncio.TimerHandle | None:
        """Begin to look at it; its own timer if it is short."""
        loop = asyncio.get_running_loop()
        if deadline.at - loop.time() < _SHORT_SECONDS:
            return loop.call_at(deadline.at, deadline.strike)
        self._watched.add(deadline)
        if self._tick is None:
            self._tick = loop.call_later(_TICK_SECONDS, self._look)
        return None

    def forget(self, deadline: Deadline) -> None:
        """It was met."""
        self._watched.discard(deadline)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in [each for each in self._watched if each.at <= now]:
            self._watched.discard(deadline)
            deadline.strike()
        self._tick = loop.call_later(_TICK_SECONDS, self._look) if self._watched else None
