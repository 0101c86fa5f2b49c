"""Tells what a streamed run does while it does it: its steps as they begin and end, what its models say."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from trimtab.app.house import House
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Event, entries

_SPOKEN = ("AIMessageChunk", "ai")


class Happening(msgspec.Struct, frozen=True):
    """What happened in a step (`outer/inner` in a subgraph). `nanodollars` is what the step has cost so far, all its
    turns together, None where the ledger cannot be read now."""

    kind: Literal["began", "ended", "failed", "asked", "said"]
    step: str
    text: str = ""
    seconds: float = 0.0
    nanodollars: int | None = None


class Follower:
    """Follows one run."""

    def __init__(self, house: House, tenant: str, run: str, tell: Callable[[Happening], None]) -> None:
        self._house, self._tenant, self._run, self._tell = house, tenant, run, tell
        self._began: dict[str, float] = {}

    async def follow(self, events: AsyncIterator[Event]) -> None:
        """Tell of the events of the modes `tasks` and `messages-tuple` until they end."""
        async for event in events:
            mode, *namespace = event.name.split("|")
            path = [part.split(":")[0] for part in namespace]
            data = msgspec.json.decode(event.data)
            if mode == "tasks":
                await self._task("/".join([*path, data["name"]]), data)
            elif mode == "messages":
                self._said(path, *data)

    async def _task(self, step: str, data: dict[str, Any]) -> None:
        id = data["id"]
        if "triggers" in data:
            self._began[id] = time.monotonic()
            self._tell(Happening("began", step))
            return
        seconds = time.monotonic() - self._began.pop(id, time.monotonic())
        if data.get("error"):
            happening = Happening("failed", step, str(data["error"]), seconds)
        elif data.get("interrupts"):
            happening = Happening("asked", step, "", seconds)
        else:
            happening = Happening("ended", step, "", seconds)
        self._tell(msgspec.structs.replace(happening, nanodollars=await self._cost(step)))

    def _said(self, path: list[str], message: dict[str, Any], facts: dict[str, Any]) -> None:
        text = _text_of(message.get("content"))
        if message.get("type") in _SPOKEN and text:
            node = str(facts.get("langgraph_node", ""))
            # A message of a subgraph's node comes under the subgraph's name.
            step = "/".join(path if path[-1:] == [node] else [*path, node])
            self._tell(Happening("said", step, text))

    async def _cost(self, step: str) -> int | None:
        with suppress(StoreUnavailable):
            await self._house.writer.flush()
            lines = await self._house.database.run(lambda c: entries.of_run(c, self._tenant, self._run))
            return sum(line.nanodollars for line in lines if line.step == step)
        return None


def _text_of(content: object) -> str:
    """A message's text, of its blocks too."""
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""
