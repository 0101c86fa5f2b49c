"""The autoscaling signal over HTTP: for Prometheus, and in the shape an autoscaler reads."""

import asyncio

import pytest

from reception.answering import bearer
from trimtab.core.errors import StoreUnavailable
from trimtab.store import workflow_workers
from workflows.made import lay_run


@pytest.fixture
async def served(hosting):
    served = await hosting("asking", "[hosting]\nlease_seconds = 0.4\n")
    served.house.workflows.take_runs()

    def takes_runs(connection):
        return any(not worker.draining for worker in workflow_workers.alive(connection, 0.0))

    async with asyncio.timeout(5):
        while not await served.house.database.run(takes_runs):
            await asyncio.sleep(0.01)
    return served


async def queued(served, count, **more):
    """Runs that wait for a graph nobody hosts."""

    def lay(connection):
        for number in range(count):
            lay_run(connection, f"x{number}", state="queued", version="gone", **more)

    await served.house.database.run(lay)


async def test_the_backlog_is_told_by_name(served):
    await queued(served, 4)
    told = (await served.get("/v1/workflows/backlog")).json
    assert (told["workers"], told["places"], told["queued"], told["running"]) == (1, 64, 4, 0)
    assert told["work_seconds"] == 4.0
    assert told["backlog_seconds"] == pytest.approx(4 / 64)
    assert told["oldest_queued_seconds"] >= 0.0
    (one,) = told["workflows"]
    assert (one["workflow"], one["queued"], one["backlog_seconds"]) == ("work", 4, told["backlog_seconds"])
    assert (await served.get("/v1/workflows/backlog?partition=eu")).json["queued"] == 0


async def test_the_backlog_is_for_admins(served):
    assert (await served.get("/v1/workflows/backlog", bearer(await served.key("acme")))).status == 403
    admin = bearer(await served.key("acme", role="admin"))
    assert (await served.get("/v1/workflows/backlog", admin)).status == 200


async def test_metrics_show_what_waits_by_workflow(served):
    await queued(served, 3)
    await queued_other(served)
    text = (await served.get("/metrics")).body.decode()
    assert 'trimtab_workflow_queued_runs{workflow="work"} 3.0' in text
    assert 'trimtab_workflow_queued_runs{workflow="other"} 1.0' in text
    assert 'trimtab_workflow_running_runs{workflow="work"} 0.0' in text
    assert 'trimtab_workflow_backlog_seconds{workflow="work"} 0.046875' in text
    assert 'trimtab_workflow_oldest_queued_seconds{workflow="work"}' in text
    assert "trimtab_calls" in text
    assert text.count("# TYPE trimtab_workflow_queued_runs gauge") == 1


async def queued_other(served):
    await served.house.database.run(
        lambda connection: lay_run(connection, "y", workflow="gone", state="queued", version="gone")
    )


async def test_metrics_are_there_while_the_store_is_away(served, monkeypatch):
    async def away(*_):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(served.house.database, "run", away)
    answer = await served.get("/metrics")
    backlog = await served.get("/v1/workflows/backlog")
    monkeypatch.undo()
    assert answer.status == 200
    assert b"trimtab_calls" in answer.body
    assert b"trimtab_workflow_queued_runs" not in answer.body
    assert (backlog.status, backlog.json["code"]) == (503, "store_unavailable")
