"""The door from the event loop to a controller's thread: what waits while the thread is busy goes in together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from trimtab.controllers.question import Decided, Question

_MOST_AT_ONCE = 16
_MOST_WAITING = 256
Work = Callable[[Sequence[Question]], Sequence[Decided | Exception]]


class Door:
    """`work` decides a batch in `thread`, a decision or an error for each question in order."""

    def __init__(self, work: Work, thread: Executor) -> None:
        self._work, self._thread = work, thread
        self._waiting: list[tuple[Question, asyncio.Future[Decided]]] = []
        self._is_busy = False

    @property
    def is_crowded(self) -> bool:
        """Whether too many wait for one more to be worth it."""
        return len(self._waiting) >= _MOST_WAITING

    async def ask(self, question: Question, seconds: float) -> Decided:
        """The decision. Raises TimeoutError, and what the controller raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decided] = loop.create_future()
        self._waiting.append((question, future))
        if not self._is_busy:
            # Calls that came in the same moment go in together.
            self._is_busy = True
            loop.call_soon(self._send)
        async with asyncio.timeout(seconds):
            return await future

    def _send(self) -> None:
        waiting = [each for each in self._waiting if not each[1].done()]
        batch, self._waiting = waiting[:_MOST_AT_ONCE], waiting[_MOST_AT_ONCE:]
        if not batch:
            self._is_busy = False
            return
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._thread, self._work, [question for question, _ in batch])
        except RuntimeError as error:  # the thread was ended: the house is closing
            self._is_busy = False
            for _, future in batch:
                future.set_exception(error)
            return
        running.add_done_callback(lambda done: self._answer([future for _, future in batch], done))

    def _answer(
        self,
        futures: Sequence[asyncio.Future[Decided]],
        done: "asyncio.Future[Sequence[Decided | Exception]]",
    ) -> None:
        results = [RuntimeError("its thread was ended")] * len(futures) if done.cancelled() else done.result()
        for future, result in zip(futures, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._send()
