"""Crons over a real socket, driven by LangGraph's own client."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from langgraph.graph import MessagesState, StateGraph
from langgraph_sdk.errors import BadRequestError, NotFoundError

from trimtab.core import IdSource
from trimtab.reception import cron_routes
from trimtab.store import ThreadRow, workflow_threads
from trimtab.workflows import Allowance, Assistants, Crons, HostedGraph, default_id

from .doors import open_doors


@pytest.fixture
def database(sqlite_database):
    return sqlite_database


@pytest.fixture
def orders():
    return []


@pytest.fixture
async def crons(database, clock, orders):
    graph = StateGraph(MessagesState).add_node("a", lambda told: told).add_edge("__start__", "a").compile()
    assistants = Assistants(database, {"work": HostedGraph("work", graph, "")}, clock)

    async def start(order):
        orders.append(order)

    return Crons(database, assistants, clock, IdSource(), start, lambda tenant: Allowance(9, 9, 9))


@pytest.fixture
async def doors(database, clock, crons):
    async with open_doors(database, clock, lambda desk: cron_routes(desk, crons)) as doors:
        yield doors


async def test_the_client_makes_changes_and_deletes_a_cron_and_it_fires(doors, crons, clock, orders):
    client = (await doors.client()).crons
    end = datetime.now(UTC) + timedelta(days=9)
    made = await client.create(
        "work",
        schedule="*/5 * * * *",
        input={"n": 1},
        metadata={"team": "red"},
        config={"configurable": {"a": 1}},
        context={"m": 1},
        interrupt_before="*",
        on_run_completed="keep",
        multitask_strategy="reject",
        end_time=end,
        timezone=ZoneInfo("Europe/Berlin"),
        stream_mode=["updates", "custom"],
        stream_subgraphs=True,
        durability="async",
    )
    assert (made["assistant_id"], made["thread_id"], made["enabled"]) == (default_id("work"), None, True)
    assert (made["on_run_completed"], made["timezone"], made["user_id"]) == ("keep", "Europe/Berlin", "ada")
    assert datetime.fromisoformat(made["end_time"]) == end
    assert made["payload"]["input"] == {"n": 1}
    due = datetime.fromisoformat(made["next_run_date"])
    clock.ahead = due.timestamp() - datetime.now(UTC).timestamp() + 1
    assert await crons.fire_due() == 1
    assert (orders[0].user, orders[0].terms.stream_mode) == ("ada", ("updates", "custom"))
    assert (orders[0].terms.interrupt_before, orders[0].terms.on_completion) == ("*", "keep")
    changed = await client.update(made["cron_id"], schedule="0 9 * * *", end_time=None, enabled=False)
    assert (changed["schedule"], changed["end_time"], changed["next_run_date"]) == ("0 9 * * *", None, None)
    assert changed["payload"] == made["payload"]
    await client.delete(made["cron_id"])
    with pytest.raises(NotFoundError):
        await client.update(made["cron_id"], enabled=True)


async def test_the_client_makes_a_cron_of_a_thread_and_finds_it(doors, database):
    client = (await doors.client()).crons
    row = ThreadRow("acme", "t", "", "{}", "", 1.0, 1.0)
    await database.run(lambda c: workflow_threads.lay(c, row))
    made = await client.create_for_thread("t", "work", schedule="0 9 * * *", metadata={"n": 1})
    other = await client.create("work", schedule="0 8 * * *", enabled=False)
    assert (made["thread_id"], made["on_run_completed"], other["next_run_date"]) == ("t", None, None)
    assert [each["cron_id"] for each in await client.search(thread_id="t")] == [made["cron_id"]]
    assert [each["cron_id"] for each in await client.search(enabled=False)] == [other["cron_id"]]
    shown = await client.search(metadata={"n": 1}, select=["schedule", "cron_id"], sort_by="next_run_date")
    assert shown == [{"schedule": "0 9 * * *", "cron_id": made["cron_id"]}]
    assert (
        await client.count(),
        await client.count(thread_id="t"),
        await client.count(assistant_id="work"),
    ) == (
        2,
        1,
        2,
    )
    with pytest.raises(NotFoundError, match="no thread 'none'"):
        await client.create_for_thread("none", "work", schedule="0 9 * * *")


async def test_what_is_wrong_is_told_with_its_remedy(doors):
    client = (await doors.client()).crons
    with pytest.raises(BadRequestError, match="bad minute.*e.g. '0 9"):
        await client.create("work", schedule="99 * * * *")
    with pytest.raises(BadRequestError, match="no time zone"):
        await client.create("work", schedule="* * * * *", timezone="Mars/Base")
    with pytest.raises(BadRequestError, match="webhook"):
        await client.create("work", schedule="* * * * *", webhook="https://example.org")
    with pytest.raises(NotFoundError, match="no assistant 'none'"):
        await client.create("none", schedule="* * * * *")


async def test_another_tenant_sees_nothing_of_it(doors):
    mine, theirs = [(await doors.client(tenant)).crons for tenant in ("acme", "other")]
    id = (await mine.create("work", schedule="0 9 * * *"))["cron_id"]
    with pytest.raises(NotFoundError):
        await theirs.update(id, enabled=False)
    with pytest.raises(NotFoundError):
        await theirs.delete(id)
    assert (await theirs.search(), await theirs.count()) == ([], 0)
    assert (await mine.search())[0]["enabled"]
