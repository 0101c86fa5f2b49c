"""The one door through which functions of the user's own are called: in threads, with a deadline, so that one
that blocks does not stop the gateway. Policies and verifiers of kind `python` come through here.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

T = TypeVar("T")
SECONDS = 10.0
_MOST_AT_ONCE = 16


class Foreign:
    """Runs functions in daemon threads. A thread cannot be stopped: one that hangs keeps its place for good."""

    def __init__(self, most_at_once: int = _MOST_AT_ONCE) -> None:
        self._places = asyncio.Semaphore(most_at_once)

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns. Raises what it raises, and TimeoutError after `SECONDS`."""
        async with asyncio.timeout(SECONDS):
            await self._places.acquire()
            loop = asyncio.get_running_loop()
            done: asyncio.Future[Callable[[], T]] = loop.create_future()
            threading.Thread(target=self._work, args=(function, loop, done), daemon=True).start()
            return (await done)()

    def _work(
        self,
        function: Callable[[], T],
        loop: asyncio.AbstractEventLoop,
        done: "asyncio.Future[Callable[[], T]]",
    ) -> None:
        told = _outcome(function)
        # Once the loop is closed nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._tell, done, told)

    def _tell(self, done: "asyncio.Future[Callable[[], T]]", told: Callable[[], T]) -> None:
        self._places.release()
        if not done.done():
            done.set_result(told)


def _outcome(function: Callable[[], T]) -> Callable[[], T]:
    """A function that returns or raises what `function` came to."""
    try:
        value = function()
    except Exception as error:  # the edge to code that is not ours: raised again where it is awaited
        return partial(_raise, error)
    return lambda: value


def _raise(error: Exception) -> NoReturn:
    raise error
