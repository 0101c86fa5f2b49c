"""Runs one hosted workflow in a house of its own, without a socket: what `trimtab run` and `trimtab runs fork` do."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import uvloop

from trimtab.app.following import Follower, Happening
from trimtab.app.hosting import load_graphs
from trimtab.app.house import House, open_house
from trimtab.config import Loaded
from trimtab.core.errors import BadRequest, Conflict, NotFound
from trimtab.store import WorkflowRunRow
from trimtab.traces import RunTree, find_run, read_tree, standing_of

if TYPE_CHECKING:
    from trimtab.workflows import Host

_OVER = ("done", "cancelled", "waiting", "superseded")
_LOOK_SECONDS = 0.2
_LAST_EVENTS_SECONDS = 5.0
Tell = Callable[[Happening], None]


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


def run_new(
    loaded: Loaded, wanted: Wanted, announce: Callable[[str], None], tell: Tell | None = None
) -> Finished:
    """Run a workflow to its end; `announce` is told the run's id before anything happens, `tell` what happens.

    Raises ConfigError, StoreUnavailable, NotFound, BadRequest.
    """

    async def begin(house: House, host: "Host") -> str:
        from trimtab.workflows import Order, RunTerms

        terms = RunTerms()
        if tell is not None:
            terms = RunTerms(streamed=True, stream_mode=("tasks", "messages-tuple"), stream_subgraphs=True)
        order = Order(wanted.workflow, wanted.input, wanted.tenant, wanted.user, terms=terms)
        return (await host.start(order)).id

    return uvloop.run(_run(loaded, begin, announce, tell))


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


class ForkWanted(msgspec.Struct, frozen=True):
    """A fork of a run, from a checkpoint or a step of it. `update` is JSON."""

    run: str
    tenant: str | None = None
    checkpoint: str = ""
    step: int | None = None
    update: bytes | None = None
    as_node: str = ""


def fork(loaded: Loaded, wanted: ForkWanted, announce: Callable[[str], None], *, here: bool) -> Finished:
    """Fork a run, and run the fork to its end where that is to be done `here`; it is queued for a worker else.

    Raises ConfigError, StoreUnavailable, NotFound, BadRequest, Conflict.
    """

    async def begin(house: House, host: "Host") -> str:
        from trimtab.workflows import Forks, ForkTerms

        update = msgspec.UNSET if wanted.update is None else _json(wanted.update)
        terms = ForkTerms(wanted.checkpoint, wanted.step, update, wanted.as_node)
        forks = Forks(host, load_graphs(loaded), house.database)
        return (await forks.fork(wanted.tenant, wanted.run, terms, waits=not here)).id

    return uvloop.run(_run(loaded, begin, announce, waits=here))


def _json(text: bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the update is not JSON: {error}", param="update") from error


def move(loaded: Loaded, id: str, tenant: str | None, version: str) -> WorkflowRunRow:
    """Move a run that nobody drives to the version of its graph that the settings host, which must be `version` where
    one is named.

    Raises ConfigError, StoreUnavailable, NotFound, Conflict.
    """
    return uvloop.run(_move(loaded, id, tenant, version))


async def _move(loaded: Loaded, id: str, tenant: str | None, version: str) -> WorkflowRunRow:
    # A house stands while the graphs are loaded: SDK clients that their modules make need it.
    async with open_house(loaded) as house:
        from trimtab.workflows import move_run

        host = house.host()
        row = await host.find(id, tenant)
        hosted = load_graphs(loaded).get(row.workflow)
        if hosted is None:
            raise NotFound(f"no graph is hosted here for workflow {row.workflow!r} of run {id}")
        if version not in ("", hosted.version):
            raise Conflict(f"version {hosted.version} of {row.workflow!r} is hosted here, not {version}")
        lease = loaded.settings.hosting.lease_seconds
        return await house.database.run(
            partial(move_run, tenant=tenant, id=id, hosted=hosted, lease_seconds=lease)
        )


async def _run(
    loaded: Loaded,
    begin: "Callable[[House, Host], Awaitable[str]]",
    announce: Callable[[str], None],
    tell: Tell | None = None,
    *,
    waits: bool = True,
) -> Finished:
    async with open_house(loaded) as house:
        host = house.host()
        id = await begin(house, host)
        announce(id)
        if not waits:
            return Finished(await host.find(id), None)
        row = await _ended(house, host, id, tell)
        return Finished(row, await _tree(house, row))


async def _ended(house: House, host: "Host", id: str, tell: Tell | None) -> WorkflowRunRow:
    """The run once it is over, waits, or was left because this process was told to stop."""
    waiting = asyncio.ensure_future(host.wait(id))
    following = None
    if tell is not None:
        tenant = (await host.find(id)).tenant
        following = asyncio.ensure_future(Follower(house, tenant, id, tell).follow(host.listen(id)))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, waiting.cancel)
    try:
        row = await waiting
    except asyncio.CancelledError:
        # Told to stop: others, or `--resume`, go on with it.
        await host.drain(house.settings.server.drain_seconds)
        row = await host.find(id)
    if following is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(following, _LAST_EVENTS_SECONDS)
    return row


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
            raise BadRequest(_why_not(await host.find(id)))
        await asyncio.sleep(_LOOK_SECONDS)


def _why_not(row: WorkflowRunRow) -> str:
    if row.state == "running":
        return f"run {row.id} is driven by worker {row.owner}, which lives"
    return f"run {row.id} is {row.state}; its thread has gone on with another run (`trimtab runs fork` goes on from it)"


async def _tree(house: House, row: WorkflowRunRow) -> RunTree | None:
    await house.writer.flush()
    standing = standing_of(house.settings, house.clock.now())
    try:
        found = await asyncio.to_thread(find_run, house.database, row.id, row.tenant, standing)
    except NotFound:
        return None
    return await asyncio.to_thread(read_tree, house.database, found)
