"""Crons: due by their schedule, started once whoever looks, once too for all that was missed."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime

import pytest
from langgraph.graph import MessagesState, StateGraph

from trimtab.core import IdSource
from trimtab.core.errors import BadRequest, Conflict, NotFound, QueueFull, RateLimited, StoreUnavailable
from trimtab.store import CronQuery, ThreadRow, workflow_threads
from trimtab.workflows import (
    Allowance,
    Assistants,
    Changes,
    CronChanges,
    CronOwner,
    CronPayload,
    CronPlan,
    Crons,
    HostedGraph,
    default_id,
)
from trimtab.workflows.crons import next_time

ADA = CronOwner("acme", "ada", "key-1")
DAY = 86_400.0


class Hands:
    """A clock that stands until it is put forward."""

    def __init__(self):
        self.at = at("2026-03-10T08:00:00+00:00")

    def now(self):
        return self.at


class Begun:
    """Notes the orders it is given, or refuses them."""

    def __init__(self, refusal=None):
        self.orders, self.refusal = [], refusal

    async def __call__(self, order):
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.orders.append(order)


def at(text):
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def begun():
    return Begun()


@pytest.fixture
def process(database, clock, begun):
    """The crons of one process of a house: `process()`, `process("other")` hosts another workflow."""
    graph = StateGraph(MessagesState).add_node("a", lambda told: told).add_edge("__start__", "a").compile()

    def make(workflow="work"):
        assistants = Assistants(database, {workflow: HostedGraph(workflow, graph, "")}, clock)
        return Crons(database, assistants, clock, IdSource(), begun, lambda tenant: Allowance(9, 9, 9))

    return make


def plan(**told):
    return CronPlan(**({"assistant": "work", "schedule": "0 9 * * *"} | told))


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "due"),
    [
        ("0 9 * * *", "", "2026-03-10T08:00:00+00:00", "2026-03-10T09:00:00+00:00"),
        ("0 9 * * *", "", "2026-03-10T09:00:00+00:00", "2026-03-11T09:00:00+00:00"),
        ("0 9 * * MON-FRI", "Europe/Berlin", "2026-03-13T09:00:00+01:00", "2026-03-16T09:00:00+01:00"),
        # The clocks go forward on 29 March and back on 25 October.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_a_schedule_is_due_in_its_own_time_zone(schedule, zone, after, due):
    assert next_time(schedule, zone, at(after)) == at(due)


@pytest.mark.parametrize(
    ("schedule", "zone", "field", "says"),
    [
        ("61 * * * *", "", "schedule", "bad minute.*e.g. '0 9"),
        ("* * * *", "", "schedule", "wrong number of fields"),
        ("*/5 * * * * *", "", "schedule", "wrong number of fields"),
        ("", "", "schedule", "wrong number of fields"),
        ("0 9 * * *", "Mars/Base", "timezone", "no time zone"),
        ("0 9 * * *", "../etc/passwd", "timezone", "no time zone"),
        ("0 9 * * *", "Europe", "timezone", "no time zone"),
    ],
)
def test_a_schedule_that_is_none_is_refused_with_its_field(schedule, zone, field, says):
    with pytest.raises(BadRequest, match=says) as refused:
        next_time(schedule, zone, 0.0)
    assert refused.value.param == field


async def test_a_cron_without_a_schedule_is_not_made(process):
    crons = process()
    with pytest.raises(BadRequest, match="bad month"):
        await crons.create(ADA, plan(schedule="0 9 * 13 *"))
    with pytest.raises(NotFound, match="no assistant 'none'"):
        await crons.create(ADA, plan(assistant="none"))
    assert await crons.count("acme", CronQuery()) == 0


async def test_a_due_cron_starts_one_run_with_all_it_was_told(process, clock, begun):
    crons = process()
    payload = CronPayload(
        input={"n": 1},
        config={"configurable": {"b": 2}},
        context={"model": "small"},
        interrupt_before=["a"],
        stream_mode="updates",
        multitask_strategy="rollback",
    )
    row = await crons.create(ADA, plan(payload=payload, metadata={"team": "red"}))
    assert (await crons.fire_due(), begun.orders) == (0, [])
    clock.at += 3_600
    assert await crons.fire_due() == 1
    (order,) = begun.orders
    assert (order.workflow, order.assistant, order.origin) == ("work", default_id("work"), f"cron:{row.id}")
    assert (order.tenant, order.user, order.key, order.thread) == ("acme", "ada", "key-1", "")
    assert json.loads(order.input) == {"n": 1}
    assert json.loads(order.metadata) == {"created_by": "system", "team": "red"}
    assert (order.multitask, order.waits) == ("rollback", True)
    terms = order.terms
    assert (terms.config, terms.context) == ({"configurable": {"b": 2}}, {"model": "small"})
    assert (terms.interrupt_before, terms.stream_mode, terms.on_completion) == (["a"], ("updates",), "delete")
    assert await crons.fire_due() == 0
    assert (await crons.find("acme", row.id)).next_at == at("2026-03-11T09:00:00+00:00")


async def test_of_two_processes_exactly_one_starts_a_due_run(process, clock, begun):
    one, two = process(), process()
    for number in range(6):
        await one.create(ADA, plan(metadata={"n": number}))
    clock.at += 3_600
    fired = await asyncio.gather(*[each.fire_due() for each in (one, two, one, two)])
    assert sum(fired) == len(begun.orders) == 6
    assert len({order.origin for order in begun.orders}) == 6


async def test_what_was_missed_is_started_once(process, clock, begun):
    crons = process()
    row = await crons.create(ADA, plan())
    clock.at += 5 * DAY + 7_200
    assert (await crons.fire_due(), await crons.fire_due()) == (1, 0)
    assert (await crons.find("acme", row.id)).next_at == at("2026-03-16T09:00:00+00:00")


async def test_behind_its_end_a_cron_is_not_enabled_any_more(process, clock, begun):
    crons = process()
    row = await crons.create(ADA, plan(end_at=clock.at + DAY))
    clock.at += 3_600
    assert await crons.fire_due() == 1
    done = await crons.find("acme", row.id)
    assert (done.enabled, done.next_at) == (False, None)
    late = await crons.create(ADA, plan(end_at=clock.at + 1.5 * DAY))
    clock.at += 3 * DAY
    assert (await crons.fire_due(), len(begun.orders)) == (0, 1)
    assert not (await crons.find("acme", late.id)).enabled
    with pytest.raises(BadRequest, match="never due before the end"):
        await crons.create(ADA, plan(end_at=clock.at - 1))


async def test_a_refused_start_leaves_the_next_time_as_it_is(process, clock, begun, caplog):
    crons = process()
    row = await crons.create(ADA, plan())
    for refusal in (QueueFull("full"), RateLimited("slow"), Conflict("busy"), StoreUnavailable("away")):
        begun.refusal = refusal
        clock.at = row.next_at
        assert await crons.fire_due() == 0
        assert f"cron {row.id} of tenant acme: a run did not start: {refusal}" in caplog.text
        due = row.next_at + DAY
        row = await crons.find("acme", row.id)
        assert (row.enabled, row.next_at) == (True, due)


async def test_a_cron_waits_for_a_process_that_hosts_its_workflow(process, clock, begun):
    mine, other = process(), process("other")
    await mine.create(ADA, plan())
    clock.at += 3_600
    assert (await other.fire_due(), await mine.fire_due(), len(begun.orders)) == (0, 1, 1)


async def test_a_cron_of_a_thread_keeps_it_and_enqueues(process, clock, begun, database):
    crons = process()
    with pytest.raises(NotFound, match="no thread 't'"):
        await crons.create(ADA, plan(thread="t"))
    for tenant in ("acme", "other"):
        row = ThreadRow(tenant, "t" if tenant == "acme" else "theirs", "", "{}", "", 1.0, 1.0)
        await database.run(lambda c, row=row: workflow_threads.lay(c, row))
    with pytest.raises(NotFound, match="no thread 'theirs'"):
        await crons.create(ADA, plan(thread="theirs"))
    await crons.create(ADA, plan(thread="t"))
    clock.at += 3_600
    await crons.fire_due()
    (order,) = begun.orders
    assert (order.thread, order.terms.on_completion, order.multitask) == ("t", "keep", "enqueue")


async def test_a_change_is_due_by_the_new_plan_and_keeps_the_rest(process, clock, begun):
    crons = process()
    row = await crons.create(ADA, plan(payload=CronPayload(input={"n": 1}), end_at=clock.at + 9 * DAY))
    moved = await crons.update("acme", row.id, CronChanges(schedule="30 8 * * *", timezone="Europe/Berlin"))
    assert moved.next_at == at("2026-03-11T08:30:00+01:00")
    assert moved.end_at == row.end_at
    await crons.update("acme", row.id, CronChanges(payload=CronPayload(context={"m": 1}), end_at=None))
    off = await crons.update("acme", row.id, CronChanges(enabled=False, metadata={"a": 1}))
    assert (off.next_at, off.end_at, off.metadata) == (None, None, '{"a":1}')
    assert json.loads(off.payload) == {"input": {"n": 1}, "context": {"m": 1}}
    clock.at += 2 * DAY
    assert await crons.fire_due() == 0
    assert (await crons.update("acme", row.id, CronChanges(enabled=True))).next_at > clock.at
    with pytest.raises(BadRequest, match="bad hour"):
        await crons.update("acme", row.id, CronChanges(schedule="0 99 * * *"))


async def test_an_assistants_own_terms_reach_its_runs_and_it_takes_its_crons_along(
    process, clock, begun, database
):
    crons = process()
    await crons._assistants.create("acme", "a", Changes("work", context={"model": "small"}))
    await crons.create(ADA, plan(assistant="a"))
    clock.at += 3_600
    await crons.fire_due()
    assert (begun.orders[0].assistant, begun.orders[0].terms.context) == ("a", {"model": "small"})
    await crons._assistants.delete("acme", "a")
    assert await crons.count("acme", CronQuery()) == 0


async def test_another_tenants_cron_is_not_there(process):
    crons = process()
    row = await crons.create(ADA, plan())
    for attempt in (
        crons.find("other", row.id),
        crons.update("other", row.id, CronChanges(enabled=False)),
        crons.delete("other", row.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await crons.search("other", CronQuery()), await crons.count("other", CronQuery())) == ([], 0)
    assert await crons.search("acme", CronQuery(assistant="work")) == [row]


async def test_the_task_starts_what_becomes_due(process, clock, begun):
    crons = process()
    await crons.create(ADA, plan())
    clock.at += 3_600
    running = asyncio.create_task(crons.run())
    async with asyncio.timeout(5):
        while not begun.orders:
            await asyncio.sleep(0.005)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
