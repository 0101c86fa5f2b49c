"""Simulated engines on real sockets, for `bench.scheduling_live`: `python -m bench.scheduling_engines COUNT HASTE`.

Prints their ports as one JSON line, and serves until its input ends.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from bench.scheduling_live import CLUSTER
from trimtab.simulation.cluster.paced import PacedEngine
from trimtab.simulation.local_server import LocalServer


async def serve(count: int, haste: float) -> None:
    """Serve until standard input is closed."""
    profile, most = CLUSTER.profiles()[0], CLUSTER.server[0].most_calls
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        ports, tasks = [], []
        for _ in range(count):
            engine = PacedEngine(profile, most, haste)
            tasks.append(group.create_task(engine.run()))
            ports.append((await stack.enter_async_context(LocalServer(engine.app))).port)
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
