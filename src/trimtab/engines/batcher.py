"""The door from the event loop to a model: one worker thread, asked in small batches.

A batch goes when it is full, when its oldest item has waited long enough, or as soon as the worker is free again.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_SHARE_OF_BUDGET = 0.1


class Batcher(Generic[Item, Result]):
    """`work` answers a batch, one result for each item in order; it runs in this batcher's own thread.

    Used on one event loop. `close` when done.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        most: int = 16,
        wait_seconds: float = 0.001,
        most_waiting: int = 1_000,
    ) -> None:
        self._work, self._most, self._wait_seconds, self._most_waiting = (
            work,
            most,
            wait_seconds,
            most_waiting,
        )
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False

    async def ask(self, item: Item, budget_seconds: float) -> Result:
        """The result for one item. A caller that is cancelled takes its item out of the queue.

        Raises:
            TimeoutError: no result within the budget, or too many wait already.
            Exception: whatever `work` raised, for every item of that batch.
        """
        if len(self._waiting) >= self._most_waiting:
            raise TimeoutError("too many wait for this model")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._busy:
            self._send_soon(loop, budget_seconds)
        async with asyncio.timeout(budget_seconds):
            return await future

    def close(self) -> None:
        """No more work: what waits is cancelled, what runs comes to its end."""
        if self._timer is not None:
            self._timer.cancel()
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _send_soon(self, loop: asyncio.AbstractEventLoop, budget_seconds: float) -> None:
        wait = min(self._wait_seconds, budget_seconds * _SHARE_OF_BUDGET)
        due = loop.time() + wait
        if len(self._waiting) >= self._most or wait <= 0:
            self._send()
        elif self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due, self._send)

    def _send(self) -> None:
        """Hand the worker what waits, leaving out those whose callers have gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting = [each for each in self._waiting if not each[1].done()]
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if not batch:
            return
        self._busy = True
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._worker, self._work, [item for item, _ in batch])
        running.add_done_callback(lambda done: self._answer(batch, done))

    def _answer(
        self, batch: Sequence[tuple[Item, asyncio.Future[Result]]], done: "asyncio.Future[Sequence[Result]]"
    ) -> None:
        self._busy = False
        waiting = [future for _, future in batch if not future.done()]
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            for future in waiting:
                future.cancel() if error is None else future.set_exception(error)
        else:
            for (_, future), result in zip(batch, done.result(), strict=True):
                if not future.done():
                    future.set_result(result)
        if self._waiting:
            self._send()
