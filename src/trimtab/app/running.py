"""Runs one hosted workflow in a house of its own, without a socket: what `trimtab run` does."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
import uvloop

from trimtab.app.house import House, open_house
from trimtab.config import Loaded
from trimtab.core.errors import BadRequest, ConfigError, NotFound
from trimtab.store import WorkflowRunRow
from trimtab.traces import RunTree, find_run, read_tree, standing_of

if TYPE_CHECKING:
    from trimtab.workflows import Host

_OVER = ("done", "cancelled", "waiting")
_LOOK_SECONDS = 0.2


class Finished(msgspec.Struct, frozen=True):
    """A run that is not driven any more, and its trace; None where it made no model call."""

    run: WorkflowRunRow
    tree: RunTree | None


class Wanted(msgspec.Struct, frozen=True):
    """A new run of a workflow. `input` is JSON."""

    workflow: str
    input: bytes
    tenant: str = "default"
    user: str = ""


def run_new(loaded: Loaded, wanted: Wanted, announce: Callable[[str], None]) -> Finished:
    """Run a workflow to its end; `announce` is told the run's id before anything happens.

    Raises ConfigError, StoreUnavailable, NotFound, BadRequest.
    """

    async def begin(house: House, host: "Host") -> str:
        from trimtab.workflows import Order

        order = Order(wanted.workflow, wanted.input, wanted.tenant, wanted.user)
        return (await host.start(order)).id

    return uvloop.run(_run(loaded, begin, announce))


def run_on(loaded: Loaded, id: str, answer: bytes | None, announce: Callable[[str], None]) -> Finished:
    """Go on with a run whose process died, that failed, or whose only question `answer` (JSON) answers; waits for
    as long as the dead one may still live.

    Raises ConfigError, StoreUnavailable, NotFound, BadRequest.
    """

    async def begin(house: House, host: "Host") -> str:
        if answer is not None:
            await _answer(house, id, answer)
        await _take(host, id, loaded.settings.hosting.lease_seconds)
        return id

    return uvloop.run(_run(loaded, begin, announce))


async def _run(
    loaded: Loaded, begin: "Callable[[House, Host], Awaitable[str]]", announce: Callable[[str], None]
) -> Finished:
    async with open_house(loaded) as house:
        if house.workflows is None:
            raise ConfigError(
                'no workflow is hosted; give one a `graph = "package.module:graph"`', key="workflow"
            )
        id = await begin(house, house.workflows)
        announce(id)
        waiting = asyncio.ensure_future(house.workflows.wait(id))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, waiting.cancel)
        try:
            row = await waiting
        except asyncio.CancelledError:
            # Told to stop: others, or `--resume`, go on with it.
            await house.workflows.drain(loaded.settings.server.drain_seconds)
            row = await house.workflows.find(id)
        return Finished(row, await _tree(house, row))


async def _answer(house: House, id: str, answer: bytes) -> None:
    from trimtab.workflows import Inbox

    inbox = Inbox(house.database)
    questions = await inbox.open_of(id)
    if len(questions) != 1:
        raise BadRequest(f"run {id} waits for {len(questions) or 'no'} answers; --answer gives exactly one")
    await inbox.answer(questions[0].tenant, id, questions[0].id, answer)


async def _take(host: "Host", id: str, lease_seconds: float) -> None:
    row = await host.find(id)
    if row.state in _OVER:
        return
    hosted = host.version(row.workflow)
    if hosted != row.version:
        raise BadRequest(
            f"run {id} began on version {row.version} of {row.workflow!r}, here is {hosted or 'none'}; "
            "only a process with that version can go on with it"
        )
    deadline = asyncio.get_running_loop().time() + lease_seconds + 1
    while await host.take(id) is None:
        if asyncio.get_running_loop().time() > deadline:
            raise BadRequest(f"run {id} is driven by worker {row.owner}, which lives")
        await asyncio.sleep(_LOOK_SECONDS)


async def _tree(house: House, row: WorkflowRunRow) -> RunTree | None:
    await house.writer.flush()
    standing = standing_of(house.settings, house.clock.now())
    try:
        found = await asyncio.to_thread(find_run, house.database, row.id, row.tenant, standing)
    except NotFound:
        return None
    return await asyncio.to_thread(read_tree, house.database, found)
