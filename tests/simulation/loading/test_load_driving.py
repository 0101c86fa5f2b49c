"""The load test against small local gateways (simulated), one of which refuses, one of which is slow."""

import asyncio
import json
import time
from collections import Counter

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from trimtab.core.errors import ConfigError
from trimtab.simulation import LocalServer
from trimtab.simulation.loading import Load, LoadOrder

EVENTS = [
    {"choices": [{"delta": {"content": "Hello"}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 4}},
]
STEP = {"run": "r", "step": 0, "deps": [], "gap": 0.0, "in": 20, "out": 4}
# Two in the middle at once, one after both.
DIAMOND = [STEP | {"step": at, "deps": deps} for at, deps in enumerate(([], [0], [0], [1, 2]))]


class Simulated:
    """A simulated gateway: what it was asked, how many calls at once; `refusal` comes in place of replies."""

    def __init__(self, seconds=0.0, refusal=None):
        self.seconds, self.refusal = seconds, refusal
        self.calls, self.outcomes, self.open = [], {}, Counter()
        self.most_open = 0

    async def chat(self, request):
        self.calls.append((dict(request.headers), await request.json()))
        if self.refusal is not None:
            status, body, headers = self.refusal
            return JSONResponse(body, status, headers)
        return StreamingResponse(self.flow(request.headers["x-trimtab-run"]), media_type="text/event-stream")

    async def flow(self, run):
        self.open[run] += 1
        self.most_open = max(self.most_open, self.open[run])
        await asyncio.sleep(self.seconds)
        self.open[run] -= 1
        for event in EVENTS:
            yield f"data: {json.dumps(event)}\n\n"
        yield "data: [DONE]\n\n"

    async def outcome(self, request):
        self.outcomes[request.path_params["run"]] = await request.json()
        return JSONResponse({})

    async def run(self, request):
        return JSONResponse({"nanodollars": 1000, "unpriced": 0})

    async def models(self, request):
        return JSONResponse({"data": [{"id": "m"}]})

    def app(self):
        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/runs/{run}/outcome", self.outcome, methods=["POST"]),
                Route("/v1/runs/{run}", self.run),
            ]
        )


@pytest.fixture
def traces(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in DIAMOND))
    return path


async def loaded(gateway, traces, **more):
    async with LocalServer(gateway.app()) as server:
        return await Load(LoadOrder(traces, server.url, **{"users": 1, "seconds": 20.0} | more)).drive()


async def test_a_run_is_played_with_its_dependencies_and_closed(traces):
    gateway = Simulated(seconds=0.05)
    report = await loaded(gateway, traces, max_requests=4)
    assert (report.calls, report.calls_answered, report.runs) == (4, 4, {"done": 1})
    assert gateway.most_open == 2
    ends = [headers.get("x-trimtab-end") for headers, _ in gateway.calls]
    assert ends == [None, None, None, "1"]
    assert gateway.outcomes == {}
    assert report.run_seconds.p50 > 0.15
    assert report.first_token_seconds.p50 >= 0.05
    assert (report.input_tokens, report.output_tokens, report.sizes) == (80, 16, 1.0)
    assert (report.nanodollars, report.calls_of_unknown_cost, report.runs_left_open) == (1000, 0, 0)
    body = gateway.calls[0][1]
    assert (body["model"], body["max_tokens"], body["stream"]) == ("m", 4, True)


async def test_refusals_are_counted_by_code_and_end_the_run(traces):
    error = {"error": {"code": "budget_exceeded", "message": "no money"}}
    gateway = Simulated(refusal=(402, error, {}))
    report = await loaded(gateway, traces, max_requests=1)
    assert report.refusals == {"402 budget_exceeded": 1}
    assert report.runs == {"refused": 1}
    assert report.call_seconds is None
    assert [said["reward"] for said in gateway.outcomes.values()] == [0.0]


async def test_who_is_told_to_come_again_does(traces):
    gateway = Simulated(refusal=(429, {"error": {"code": "queue_full"}}, {"retry-after": "0"}))
    report = await loaded(gateway, traces, max_requests=20, seconds=1.0)
    assert report.refusals["429 queue_full"] == 4
    assert report.runs == {"refused": 1}


async def test_time_is_bounded_and_open_runs_are_closed(traces):
    gateway = Simulated(seconds=30.0)
    began = time.monotonic()
    report = await loaded(gateway, traces, users=3, seconds=0.5)
    assert time.monotonic() - began < 10
    assert (report.calls, report.calls_answered, report.calls_cut_off) == (3, 0, 3)
    assert report.runs == {"cut off": 3}
    assert len(gateway.outcomes) == 3


async def test_interrupted_it_tells_what_was_measured(traces):
    gateway = Simulated(seconds=0.02)
    progress = []
    async with LocalServer(gateway.app()) as server:
        order = LoadOrder(traces, server.url, users=5, seconds=60.0)
        driving = asyncio.create_task(Load(order, lambda tally, users: progress.append(users)).drive())
        while len(gateway.calls) < 40 or 5 not in progress:
            await asyncio.sleep(0.01)
        driving.cancel()
        report = await driving
    assert report.interrupted
    assert report.calls_answered >= 20
    assert sum(report.runs.values()) == len({headers["x-trimtab-run"] for headers, _ in gateway.calls})


async def test_users_begin_over_the_ramp(traces):
    gateway = Simulated()
    began = time.monotonic()
    await loaded(gateway, traces, users=2, ramp_seconds=1.0, seconds=0.4)
    assert time.monotonic() - began < 5
    assert {headers["x-trimtab-user"] for headers, _ in gateway.calls} == {"load-user-0"}


async def test_a_dead_or_wrong_url_is_told_at_once(traces):
    began = time.monotonic()
    for url, told in (
        ("http://127.0.0.1:9", "nothing answers"),
        ("127.0.0.1:8080", "is no URL"),
        ("http://", "is no URL"),
    ):
        with pytest.raises(ConfigError, match=told):
            await Load(LoadOrder(traces, url, users=2)).drive()
    page = Starlette(routes=[Route("/{rest:path}", lambda request: PlainTextResponse("a page"))])
    async with LocalServer(page) as server:
        with pytest.raises(ConfigError, match="no OpenAI-compatible gateway"):
            await Load(LoadOrder(traces, server.url, users=2)).drive()
    assert time.monotonic() - began < 5


async def test_a_model_that_is_not_served_is_named(traces):
    with pytest.raises(ConfigError, match="'big' is not served; .* serves m"):
        await loaded(Simulated(), traces, model="big")
