"""The door to a controller's thread, for the event loop and for other threads alike: what waits while the thread is
busy goes in together, as much of it as its latency budgets leave time for.

A lone question is handed on at once. Nothing waits for company: what comes in the meantime is the next batch.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from trimtab.controllers.question import Decided, Question

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 16
_MOST_WAITING = 256
_LEARNS = 0.3
Work = Callable[[Sequence[Question]], Sequence[Decided | Exception]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """`waker` ends the wait of a coroutine; of a thread the future itself does."""

    question: Question
    future: "Future[Decided]"
    due: float
    waker: "asyncio.Future[None] | None" = None


class Door:
    """`work` decides a batch in `thread`, a decision or an error for each question in order."""

    def __init__(
        self,
        work: Work,
        thread: Executor,
        monotonic: Callable[[], float] = time.monotonic,
        most_at_once: int = _MOST_AT_ONCE,
    ) -> None:
        self._work, self._thread, self._monotonic = work, thread, monotonic
        self._most_at_once = most_at_once
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._sent_at: float | None = None
        self._seconds_each = 0.0
        self._turn = 0
        self._batch: list[_Waiting] = []

    @property
    def turn(self) -> int:
        """The number of the batch that is at work now, or was the last one."""
        return self._turn

    @property
    def is_crowded(self) -> bool:
        """Whether too many wait for one more to be worth it."""
        return len(self._waiting) >= _MOST_WAITING

    def is_held_up(self, seconds: float) -> bool:
        """Whether the batch at work has taken so long already that who comes now would hardly be answered in time."""
        sent = self._sent_at
        return sent is not None and self._monotonic() - sent >= seconds

    async def ask(self, question: Question, seconds: float) -> Decided:
        """The decision. Raises TimeoutError, and what the controller raised."""
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._asked(question, seconds, waker) as future:
            async with asyncio.timeout(seconds):
                await waker
            return future.result(0)

    def ask_from_thread(self, question: Question, seconds: float) -> Decided:
        """The same for a caller that is no coroutine."""
        with self._asked(question, seconds) as future:
            return future.result(seconds)

    @contextmanager
    def _asked(
        self, question: Question, seconds: float, waker: "asyncio.Future[None] | None" = None
    ) -> "Iterator[Future[Decided]]":
        """The question in the queue; whoever leaves takes it out again if it has not been looked at."""
        each = _Waiting(question, Future(), self._monotonic() + seconds, waker)
        with self._lock:
            self._waiting.append(each)
            is_idle = self._sent_at is None
            if is_idle:
                self._sent_at = self._monotonic()
        try:
            if is_idle:
                self._send()
            yield each.future
        finally:
            if each.future.cancel():
                self._take_out(each)

    def _take_out(self, each: _Waiting) -> None:
        with self._lock:
            if each in self._waiting:
                self._waiting.remove(each)

    def _send(self) -> None:
        try:
            self._thread.submit(self._serve).add_done_callback(self._end_if_broken)
        except RuntimeError as error:  # the thread was ended: the house is closing
            self._turn_away(error)

    def _serve(self) -> None:
        """Decide one batch; then others may have the thread before the next one."""
        with self._lock:
            self._turn += 1
            self._sent_at = self._monotonic()
            batch = self._batch = self._next()
        if batch:
            self._decide(batch)
        with self._lock:
            self._batch = []
            has_more = bool(self._waiting)
            self._sent_at = self._monotonic() if has_more else None
        if has_more:
            self._send()

    def _next(self) -> list[_Waiting]:
        """What goes in together: no more than are likely to be done before the first of them is due."""
        batch: list[_Waiting] = []
        now, first_due = self._monotonic(), float("inf")
        while self._waiting and len(batch) < self._most_at_once:
            each = self._waiting.popleft()
            if each.due <= now:
                continue
            first_due = min(first_due, each.due)
            if batch and now + (len(batch) + 1) * self._seconds_each > first_due:
                self._waiting.appendleft(each)
                break
            if each.future.set_running_or_notify_cancel():
                batch.append(each)
        return batch

    def _decide(self, batch: Sequence[_Waiting]) -> None:
        begun = self._monotonic()
        try:
            results = self._work([each.question for each in batch])
            assert len(results) == len(batch)
        except Exception as error:  # the edge to what was learned: whoever waits is told
            results = [error] * len(batch)
        took = (self._monotonic() - begun) / len(batch)
        self._seconds_each += _LEARNS * (took - self._seconds_each) if self._seconds_each else took
        _tell(batch, results)

    def _end_if_broken(self, done: "Future[None]") -> None:
        """The thread was ended, or what was learned panicked below Python: nobody is left waiting."""
        if done.cancelled():
            self._turn_away(RuntimeError("its thread was ended"))
        elif (error := done.exception()) is not None:
            _log.error("a controller's thread broke off", exc_info=error)
            self._turn_away(RuntimeError(f"its thread broke off: {error!r}"))

    def _turn_away(self, error: RuntimeError) -> None:
        with self._lock:
            begun, self._batch = self._batch, []
            waiting, self._waiting, self._sent_at = self._waiting, deque(), None
        told = [each for each in waiting if each.future.set_running_or_notify_cancel()]
        told += [each for each in begun if not each.future.done()]
        _tell(told, [error] * len(told))


def _tell(batch: Sequence[_Waiting], results: Sequence[Decided | Exception]) -> None:
    """Each its own; an event loop is woken once for all of its coroutines."""
    wakers: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for each, result in zip(batch, results, strict=True):
        if isinstance(result, Exception):
            each.future.set_exception(result)
        else:
            each.future.set_result(result)
        if each.waker is not None:
            wakers.setdefault(each.waker.get_loop(), []).append(each.waker)
    for loop, sleeping in wakers.items():
        with suppress(RuntimeError):  # a loop that is closed has nobody who waits
            loop.call_soon_threadsafe(_wake, sleeping)


def _wake(sleeping: Sequence["asyncio.Future[None]"]) -> None:
    for each in sleeping:
        if not each.done():
            each.set_result(None)
