"""Forks, retries and ends of runs over HTTP: of the caller's tenant, with the conflicts said."""

import json

import pytest

from gateway.upstream import hangs
from reception.answering import bearer
from trimtab.workflows import Order


@pytest.fixture
async def served(hosting, tmp_path, monkeypatch):
    """A house whose graph fails once."""
    monkeypatch.setenv("MARKS", str(tmp_path))
    return await hosting("failing")


async def ended(served, tenant="acme"):
    host = served.house.workflows
    return await host.wait((await host.start(Order("work", b'{"log": []}', tenant))).id)


async def test_a_run_is_forked_and_the_fork_is_driven_at_once(served):
    key, host = bearer(await served.key("acme")), served.house.workflows
    run = await ended(served)
    body = {"step": 1, "update": {"log": ["edited"]}, "as_node": "first"}
    answer = await served.post(body, f"/v1/runs/{run.id}/fork", key)
    assert (answer.status, answer.json["workflow"], answer.json["state"]) == (201, "work", "running")
    assert answer.json["origin"].startswith(f"fork:{run.id}:")
    assert answer.json["metadata"]["forked_from"]["step"] == 1
    fork = await host.wait(answer.json["run"])
    assert (fork.state, json.loads(fork.output)) == ("done", {"log": ["first", "edited", "second"]})
    assert (await host.find(run.id)).state == "failed"


async def test_a_failed_run_is_tried_again(served):
    key, host = bearer(await served.key("acme")), served.house.workflows
    run = await ended(served)
    host.take_runs()
    answer = await served.post({}, f"/v1/runs/{run.id}/retry", key)
    assert (answer.status, answer.json["state"]) == (200, "queued")
    assert (await host.wait(run.id)).state == "done"
    again = await served.post({}, f"/v1/runs/{run.id}/retry", key)
    assert (again.status, again.json["code"]) == (409, "not_retryable")


async def test_a_run_is_ended_with_its_call_and_once(hosting, upstream):
    upstream.always = hangs()
    served = await hosting("everything")
    key, host = bearer(await served.key("acme")), served.house.workflows
    run = await host.start(Order("work", b'{"log": []}', "acme"))
    await upstream.arrivals(1)
    assert (await served.post({}, f"/v1/runs/{run.id}/fork", key)).json["code"] == "run_is_open"
    assert (await served.post({}, f"/v1/runs/{run.id}/cancel", key)).status == 200
    await upstream.seen[0].closed.wait()
    assert (await host.wait(run.id)).state == "cancelled"
    again = await served.post({}, f"/v1/runs/{run.id}/cancel", key)
    assert (again.status, again.json["code"]) == (409, "run_is_over")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"step": 9}, 404, "no step 9"),
        ({"step": "1"}, 400, "int"),
        ({"stop": 1}, 400, "stop"),
        ({"step": 1, "checkpoint": "x"}, 400, "not both"),
        ({"step": 1, "update": {}, "as_node": "nobody"}, 400, "nobody"),
    ],
)
async def test_a_fork_that_cannot_be_made_is_refused(served, body, status, said):
    key = bearer(await served.key("acme"))
    run = await ended(served)
    answer = await served.post(body, f"/v1/runs/{run.id}/fork", key)
    assert (answer.status, said in answer.json["detail"]) == (status, True), answer.json


async def test_another_tenants_run_is_not_there_and_a_viewer_changes_nothing(served):
    run = await ended(served)
    rival, viewer = bearer(await served.key("rival")), bearer(await served.key("acme", role="viewer"))
    for verb in ("fork", "retry", "cancel"):
        answer = await served.post({}, f"/v1/runs/{run.id}/{verb}", rival)
        assert (answer.status, answer.json["code"]) == (404, "run_not_found")
        assert (await served.post({}, f"/v1/runs/{run.id}/{verb}", viewer)).status == 403
    assert await served.house.workflows.find(run.id) == run
