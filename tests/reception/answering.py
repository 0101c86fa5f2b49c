"""Runs that ask people, in a house with its doors open."""

import asyncio

from trimtab.workflows import Order


async def asked(served, tenant="acme"):
    """A run that waits for an answer; the host goes on with it once it has one."""
    host = served.house.workflows
    host.take_runs()
    run = await host.wait((await host.start(Order("work", b'{"log": []}', tenant))).id)
    assert run.state == "waiting"
    return run


async def over(served, run):
    """The run, once it is neither queued, driven nor waiting."""
    async with asyncio.timeout(10):
        while (row := await served.house.workflows.find(run)).state in ("queued", "running", "waiting"):
            await asyncio.sleep(0.01)
    return row


def bearer(key):
    return {"authorization": f"Bearer {key}"}
