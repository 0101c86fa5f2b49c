"""Whether this process still is the one that drives its runs: sure for a lease after each beat, not longer.

A process that was stopped and goes on would begin nodes that another one has long finished; it waits for its next
beat first, by which it hears what is not its own any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from trimtab.workflows.place import RUN

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lease:
    """Seconds on a clock that goes on while the process is stopped or its machine sleeps."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until = seconds, float("-inf")
        self._steady_from = float("-inf")
        self._renewed = asyncio.Event()

    def now(self) -> float:
        """To be taken before a beat."""
        return time.clock_gettime(_CLOCK)

    def renew(self, since: float) -> None:
        """A beat sent at `since` was heard, and what it told was heeded."""
        if self._until > float("-inf") and since >= self._until:
            # It was away, and so may others have been that are about to say that they live.
            self._steady_from = self.now() + self._seconds
        self._until = since + self._seconds
        self._renewed.set()
        self._renewed = asyncio.Event()

    @property
    def is_steady(self) -> bool:
        """Whether this process was heard of for a while, so that it can tell who was not."""
        return self.now() >= self._steady_from

    async def sure(self) -> None:
        """Return once the lease holds."""
        while self.now() >= self._until:
            await self._renewed.wait()


class Guarded(Runnable[Any, Any]):
    """What a node does, once its process is sure to drive the run."""

    def __init__(self, does: Runnable[Any, Any]) -> None:
        self._does = does

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        return self._does.invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: ANN401
        await _sure()
        return await self._does.ainvoke(input, config, **kwargs)

    async def astream(
        self,
        input: Any,  # noqa: ANN401 - whatever the node takes
        config: RunnableConfig | None = None,
        **kwargs: Any | None,  # noqa: ANN401 - as above
    ) -> AsyncIterator[Any]:
        await _sure()
        async for piece in self._does.astream(input, config, **kwargs):
            yield piece


async def _sure() -> None:
    place = RUN.get()
    if place is not None:
        await place.sure()
