"""A house on a store that was filled at another moment: its clock begins there.

`python -m bench.console_house FOLDER PORT [DATABASE]`, with the folder of a filled store.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from bench.console_store import SETTINGS, Filled
from trimtab.app.house import open_house
from trimtab.app.serve import begin, server_for
from trimtab.config import load_text


class MovedClock:
    """Runs as fast as any, from another moment on."""

    def __init__(self, now: float) -> None:
        self._behind = time.time() - now

    def now(self) -> float:
        """Epoch seconds there."""
        return time.time() - self._behind

    def monotonic(self) -> float:
        """For spans."""
        return time.monotonic()


async def serve(folder: Path, port: int, database: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    told = msgspec.json.decode((folder / "filled.json").read_bytes(), type=Filled)
    loaded = load_text(SETTINGS.format(data=folder, database=database), "bench.toml", {})
    async with open_house(loaded, MovedClock(told.now)) as house:
        server = server_for(house, "127.0.0.1", port)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
        running = await begin(server)
        print(f"serving http://127.0.0.1:{port}/console, sign in with {told.key}", flush=True)
        await running


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "sqlite"))
