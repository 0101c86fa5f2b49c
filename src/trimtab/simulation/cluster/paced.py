"""A *simulated* engine that answers by the clock on the wall: an OpenAI-compatible server that takes as long as the
model of `server.py` says, prefix cache included, and says nothing of sense.

For trying schedulers without a GPU, and for holding the simulator against a live gateway.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from trimtab.scheduling import Demand, RunStanding
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.contexts import Contexts, Place
from trimtab.simulation.cluster.gpus import Profile
from trimtab.simulation.cluster.job import Job, LiveRun, LiveSession
from trimtab.simulation.cluster.plans import RunPlan, SessionPlan, StepPlan
from trimtab.simulation.cluster.server import Server

_BYTES_A_TOKEN = 4
# As many bytes as a token counts for, so that a prompt that repeats a reply counts as many tokens.
_WORD = "ok, "


class _Message(msgspec.Struct):
    role: str = ""
    content: str | msgspec.Raw | None = None


class _Asked(msgspec.Struct):
    model: str = ""
    messages: tuple[_Message, ...] = ()
    max_tokens: int = 16
    max_completion_tokens: int = 0
    stream: bool = False
    priority: float = 0.0
    simulated_output_tokens: int = 0


_ASKED = msgspec.json.Decoder(_Asked)


class PacedEngine:
    """One server. `app` is its ASGI application; `run` must be a task beside it."""

    def __init__(self, profile: Profile, most_calls: int = 256, haste: float = 1.0) -> None:
        """`haste`: how much faster than the wall's its clock runs."""
        self._agenda, self._contexts = Agenda(), Contexts(_BYTES_A_TOKEN)
        self._server = Server(0, profile, most_calls, self._agenda, self)
        self._began, self._haste, self._number = time.monotonic(), haste, 0
        self._woken = asyncio.Event()
        self._waiting: dict[int, tuple[asyncio.Future[None], asyncio.Future[None]]] = {}
        self._said: dict[int, tuple[Place, bytes]] = {}
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/models", self._models),
        ]
        self.app = Starlette(routes=routes)

    @property
    def _now(self) -> float:
        return (time.monotonic() - self._began) * self._haste

    async def run(self) -> None:
        """Play what is due, until cancelled."""
        while True:
            self._agenda.play_until(self._now)
            due = self._agenda.next_at
            self._woken.clear()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now) / self._haste):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def started(self, job: Job, now: float) -> None:
        """A first token."""
        first, _ = self._waiting[job.number]
        if not first.done():
            first.set_result(None)

    def finished(self, job: Job, now: float) -> None:
        """A last one."""
        place, said = self._said.pop(job.number)
        self._contexts.grow(place, said + _WORD.encode() * job.output_tokens)
        _, last = self._waiting[job.number]
        if not last.done():
            last.set_result(None)

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "simulated", "object": "model"}]})

    async def _chat(self, request: Request) -> Response:
        body = await request.body()
        try:
            asked = _ASKED.decode(body)
        except msgspec.DecodeError as error:
            return JSONResponse({"error": {"message": str(error), "code": "bad_request"}}, 400)
        job = self._accept(asked)
        if asked.stream:
            return StreamingResponse(self._stream(asked, job), media_type="text/event-stream")
        await self._waiting[job.number][1]
        del self._waiting[job.number]
        message = {"role": "assistant", "content": _WORD * job.output_tokens}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return JSONResponse({**_head(asked, "chat.completion"), "choices": choices, "usage": _usage(job)})

    def _accept(self, asked: _Asked) -> Job:
        said = "".join(each.content for each in asked.messages if isinstance(each.content, str)).encode()
        place, tokens = self._contexts.place(said), max(1, len(said) // _BYTES_A_TOKEN)
        wanted = asked.simulated_output_tokens or asked.max_completion_tokens or asked.max_tokens
        plan = StepPlan(
            step="",
            input_tokens=tokens,
            output_tokens=max(1, wanted),
            shared_tokens=min(place.shared_tokens, tokens - 1),
            system=place.parent,
            system_tokens=min(place.parent_tokens, tokens - 1),
        )
        self._number += 1
        job = Job(
            self._number, _RUN, 0, plan, place.context, plan.output_tokens, _DEMAND, priority=asked.priority
        )
        loop = asyncio.get_running_loop()
        self._said[job.number] = place, said
        self._waiting[job.number] = loop.create_future(), loop.create_future()
        self._agenda.play_until(self._now)
        self._server.accept(job, self._now)
        self._woken.set()
        return job

    async def _stream(self, asked: _Asked, job: Job) -> AsyncGenerator[bytes, None]:
        first, last = self._waiting[job.number]
        head = _head(asked, "chat.completion.chunk")
        try:
            await first
            yield _event({**head, "choices": [_delta({"role": "assistant", "content": _WORD})]})
            await last
            rest = _WORD * (job.output_tokens - 1)
            yield _event({**head, "choices": [_delta({"content": rest})]})
            yield _event({**head, "choices": [_delta({}, "stop")]})
            yield _event({**head, "choices": [], "usage": _usage(job)}) + b"data: [DONE]\n\n"
        finally:
            # A call whose client went away is played to its end: the model cannot stop one.
            await asyncio.shield(last)
            del self._waiting[job.number]


def _head(asked: _Asked, kind: str) -> dict[str, Any]:
    return {"id": "simulated", "object": kind, "created": 0, "model": asked.model}


def _delta(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _usage(job: Job) -> dict[str, Any]:
    tokens = job.plan.input_tokens
    return {
        "prompt_tokens": tokens,
        "completion_tokens": job.output_tokens,
        "total_tokens": tokens + job.output_tokens,
        "prompt_tokens_details": {"cached_tokens": job.cached_tokens},
    }


def _event(said: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(said) + b"\n\n"


# A server looks at a job's plan and context only.
_STANDING = RunStanding("", "", 0.0)
_DEMAND = Demand(_STANDING, "", 0, 0.0, 1, 1.0, 0.0)
_PLAN = RunPlan("", ())
_RUN = LiveRun(_PLAN, LiveSession(0, SessionPlan((_PLAN,))), _STANDING, [], 0, [], [])
