"""The driver, straight at the simulated expert or the cassette, and at a door that refuses."""

import asyncio
import contextlib
import json
import time

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from trimtab.simulation import (
    TENANTS,
    LocalServer,
    Percentiles,
    Traffic,
    TrafficReport,
    cassette_app,
    demo_runs,
    expert_app,
    load_cassette,
    replay_runs,
)

KEYS = dict.fromkeys(TENANTS, "key-of-tenant")
ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "Anything else?"}, "finish_reason": "stop"}]
}


async def drive(app, count, model="sim-small", **options):
    async with LocalServer(app) as server:
        return await Traffic(server.url, **options).drive(demo_runs(count, 3, model, KEYS), count)


def door(answer):
    return Starlette(routes=[Route("/v1/{rest:path}", answer, methods=["POST"])])


async def test_demo_runs_go_through_and_some_fail_honestly():
    progress = []
    small = await drive(expert_app(), 80, on_progress=lambda done, total: progress.append((done, total)))
    large = await drive(expert_app(), 80, model="sim-large", mode="stream", concurrency=40)
    assert small.endings == large.endings == {"done": 80}
    assert progress == [(done, 80) for done in range(1, 81)]
    assert 50 < small.completed < large.completed <= 80
    assert small.calls_failed == small.calls_without_usage == 0
    assert small.outcomes_rejected == 80  # the expert keeps no outcomes: 404, counted
    assert 0.005 < small.call_seconds.p50 <= small.call_seconds.p95 <= small.call_seconds.p99
    assert large.first_token_seconds.count == len(large.calls)
    assert {run.tenant for run in small.runs} == set(TENANTS)


async def test_the_same_seed_gives_the_same_runs():
    first, second = [await drive(expert_app(), 12, mode=mode) for mode in ("plain", "stream")]
    facts = [sorted((r.run, r.calls, r.reward) for r in report.runs) for report in (first, second)]
    assert facts[0] == facts[1]
    tokens = [
        sorted((c.run, c.index, c.usage.total_tokens) for c in report.calls) for report in (first, second)
    ]
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("mode", ["plain", "stream", "mixed"])
async def test_a_replay_brings_back_every_reply_unaltered(own_runs, mode):
    cassette = load_cassette(own_runs)
    async with LocalServer(cassette_app(cassette)) as server:
        report = await Traffic(server.url, mode=mode).drive(
            replay_runs(own_runs, "acme", "key"), cassette.runs
        )
    assert (len(report.calls), report.altered_replies, report.calls_without_usage) == (3, 0, 1)
    assert (report.runs[0].reward, report.runs[0].workflow) == (1.0, "lamps")
    assert cassette.billed()[0].calls == 3


async def test_recorded_runs_of_many_agents_replay_unaltered(tau2_runs):
    agents = ("claude-sonnet-4-5", "gpt-4o", "qwen2.5-7b")
    cassette = load_cassette(tau2_runs, agents)
    async with LocalServer(cassette_app(cassette)) as server:
        report = await Traffic(server.url).drive(replay_runs(tau2_runs, "acme", "key", agents), cassette.runs)
    assert (report.endings, report.altered_replies) == ({"done": cassette.runs}, 0)
    assert sum(each.calls for each in cassette.billed()) == len(report.calls) == len(cassette)


async def test_the_gateway_hears_whose_call_it_is_and_the_outcome():
    heard = []

    async def answer(request):
        heard.append((request.url.path, dict(request.headers), await request.json()))
        headers = {"x-trimtab-call": "c1", "x-trimtab-cost-nanodollars": "42"}
        return JSONResponse(ANSWER, headers=headers)

    report = await drive(door(answer), 1, mode="plain")
    path, headers, sent = heard[0]
    run = report.runs[0]
    assert path == "/v1/chat/completions"
    assert (headers["x-trimtab-run"], headers["x-trimtab-user"]) == (run.run, run.user)
    assert (headers["x-trimtab-workflow"], headers["x-trimtab-step"]) == ("parts-support", "open")
    assert headers["authorization"] == "Bearer key-of-tenant"
    assert len(sent["tools"]) == 10
    assert heard[-1][0] == f"/v1/runs/{run.run}/outcome"
    assert heard[-1][2] == {"reward": 0.0, "by": "demo-judge", "reason": run.reason}
    assert (report.outcomes_posted, report.calls[0].call, report.calls[0].cost_nanodollars) == (1, "c1", 42)


async def test_a_run_without_budget_ends_as_refused_and_is_told_so():
    outcomes = []

    async def refuse(request):
        if request.url.path.endswith("/outcome"):
            outcomes.append(await request.json())
            return JSONResponse({})
        return JSONResponse({"error": {"message": "budget used up"}}, 402)

    report = await drive(door(refuse), 3)
    assert (report.endings, report.calls_refused_by_budget, report.calls_failed) == ({"refused": 3}, 3, 0)
    assert [each["reward"] for each in outcomes] == [0.0] * 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_throttled_call_waits_as_told_and_then_goes_through(status):
    tries = []

    async def throttle(request):
        if request.url.path.endswith("/outcome"):
            return JSONResponse({})
        tries.append(time.monotonic())
        if len(tries) < 3:
            return PlainTextResponse("slow down", status, {"retry-after": "0.2"})
        return JSONResponse(ANSWER)

    report = await drive(door(throttle), 1, mode="plain")
    assert tries[2] - tries[0] > 0.38
    first = report.calls[0]
    assert (first.status, first.throttled, first.waited_seconds) == (200, 2, pytest.approx(0.4))


async def test_a_broken_reply_fails_its_own_run_only():
    async def answer(request):
        if request.headers.get("x-trimtab-run") == "demo-3-0001":
            return PlainTextResponse("{broken")
        return JSONResponse(ANSWER)

    report = await drive(door(answer), 4, mode="plain")
    assert report.endings == {"done": 3, "failed": 1}
    assert report.unknown == 1


async def test_a_stream_that_breaks_off_is_a_failure():
    async def answer(_request):
        return PlainTextResponse('data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n')

    report = await drive(door(answer), 1, mode="stream")
    assert report.endings == {"failed": 1}
    assert "broke off" in report.calls[0].fault


async def test_a_gateway_that_hangs_is_given_up_at_the_deadline():
    async def hang(_request):
        await asyncio.sleep(3)
        return JSONResponse(ANSWER)

    report = await drive(door(hang), 1, deadline_seconds=0.2)
    assert (report.endings, report.calls[0].status) == ({"failed": 1}, 0)
    assert "Timeout" in report.calls[0].fault


async def test_replies_unlike_the_record_are_counted(own_runs):
    async def answer(_request):
        return JSONResponse(ANSWER)

    async with LocalServer(door(answer)) as server:
        report = await Traffic(server.url, mode="plain").drive(replay_runs(own_runs, "acme", "key"), 1)
    assert report.altered_replies == 3


async def test_a_port_that_is_taken_is_an_error():
    async with LocalServer(expert_app()) as server:
        with pytest.raises(OSError, match="in use"):
            await LocalServer(expert_app(), port=server.port).__aenter__()


async def test_nobody_at_the_door_is_counted_and_crashes_nothing():
    report = await Traffic("http://127.0.0.1:9").drive(demo_runs(2, 3, "sim-small", KEYS), 2)
    assert (report.endings, report.calls_failed, report.calls[0].status) == ({"failed": 2}, 2, 0)


async def test_cancelling_ends_all_runs_at_once_and_keeps_the_measures():
    async with LocalServer(expert_app()) as server:
        traffic = Traffic(server.url, concurrency=5)
        driving = asyncio.create_task(traffic.drive(demo_runs(500, 3, "sim-large", KEYS), 500))
        while not traffic.report().endings.get("done"):
            await asyncio.sleep(0.01)
        driving.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await driving
        assert time.monotonic() - began < 5.0
    report = traffic.report()
    # A run may be over in the very moment of the cancellation, and its worker between two runs.
    assert 0 < report.endings["cancelled"] <= 5
    assert 0 < report.endings["done"] < 500
    assert sum(report.endings.values()) == len(report.runs)


class Stubborn:
    """A run in which something swallows the cancellation."""

    identity = next(iter(demo_runs(1, 3, "sim-small", KEYS))).identity

    def __init__(self):
        self.began = asyncio.Event()

    async def play(self, desk):
        self.began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def test_who_swallows_the_cancellation_plays_no_further_run():
    runs = [Stubborn() for _ in range(20)]
    traffic = Traffic("http://127.0.0.1:9", concurrency=2)
    driving = asyncio.create_task(traffic.drive(runs, 20))
    await runs[1].began.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(driving, 10)
    assert [run.began.is_set() for run in runs].count(True) == 2


def test_a_report_is_json_and_percentiles_are_nearest_rank():
    values = Percentiles.of(range(1, 101))
    assert (values.p50, values.p95, values.p99) == (50, 95, 99)
    assert Percentiles.of([]) is None
    report = Traffic("http://nowhere").report()
    again = msgspec.json.decode(msgspec.json.encode(report), type=TrafficReport)
    assert again.runs == ()
    assert json.loads(msgspec.json.encode(report))["completed"] == 0
