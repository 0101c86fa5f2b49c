"""The simulated expert: a local OpenAI-compatible endpoint for the shop's support desk; stateless and seeded.

Everything it answers says that it is simulated. Used by the demo and tests; it measures no real model. A move in the
same place of the same talk slips alike, whoever made the lookups before it: two drives of one task can be compared.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from trimtab.core import Usage
from trimtab.simulation.chat import (
    FunctionCall,
    Reply,
    Stamp,
    StreamOptions,
    ToolCall,
    error_body,
    plain_body,
    stream_events,
)
from trimtab.simulation.conversation import HeardMessage, Reading, read
from trimtab.simulation.expert_rules import HARD_INTENTS, Move, Say, Use, decide, slip
from trimtab.simulation.support_tools import DeclaredTool

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_HEADERS = {"x-simulated": "true"}
_BANNER = "Trimtab's simulated expert. No model runs here: every answer is simulated.\n"


@dataclass(frozen=True, slots=True)
class ExpertModel:
    """One simulated model: how often a move slips (easy and hard wishes), and how fast it writes."""

    name: str
    easy_slips: float
    hard_slips: float
    first_token_seconds: tuple[float, float]
    token_seconds: float


SIMULATED_MODELS = (
    ExpertModel("sim-small", 0.025, 0.12, (0.010, 0.025), 0.0002),
    ExpertModel("sim-large", 0.003, 0.010, (0.025, 0.060), 0.0004),
)
UNHURRIED_MODELS = (
    ExpertModel("sim-small", 0.025, 0.12, (0.150, 0.400), 0.003),
    ExpertModel("sim-large", 0.003, 0.010, (0.300, 0.800), 0.008),
)


class ExpertRequest(msgspec.Struct):
    """What the expert reads of a body."""

    model: str
    messages: list[HeardMessage]
    tools: tuple[DeclaredTool, ...] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None

    @property
    def limit_tokens(self) -> int | None:
        """The most tokens the reply may have."""
        return self.max_completion_tokens or self.max_tokens


def tokens_of(text: bytes | str) -> int:
    """An estimate of a text's tokens: a quarter of its length, rounded up."""
    return -(-len(text) // 4)


class Expert:
    """Answers requests. The same seed, model and conversation always get the same answer and latency.

    `pace` times every latency; 0 is at once.
    """

    def __init__(self, models: tuple[ExpertModel, ...], seed: int, pace: float = 1.0) -> None:
        self._models = {model.name: model for model in models}
        self._seed, self._pace = seed, pace

    def answer(self, request: ExpertRequest) -> tuple[Reply, float, float]:
        """Reply, seconds to the first token, seconds a token after. Raises KeyError, msgspec.DecodeError."""
        model = self._models[request.model]
        heard = msgspec.json.encode(request.messages)
        print_of = hashlib.blake2b(heard, digest_size=12).hexdigest()
        reading = read(request.messages)
        right = decide(reading)
        place = _place(request.messages, reading, right)
        dice = random.Random(f"{self._seed}|{request.seed}|{model.name}|{place}")
        first = dice.uniform(*model.first_token_seconds)
        rate = model.hard_slips if reading.intent in HARD_INTENTS else model.easy_slips
        move = slip(right, dice, rate)
        return self._reply(move, request, print_of), first * self._pace, model.token_seconds * self._pace

    async def complete(self, request: "Request") -> "Response":
        """POST /v1/chat/completions."""
        from starlette.responses import Response, StreamingResponse

        try:
            asked = msgspec.json.decode(await request.body(), type=ExpertRequest)
            reply, first, each = self.answer(asked)
        except msgspec.DecodeError as error:
            body = error_body(f"simulated expert: the body cannot be read: {error}", "invalid_request")
            return Response(body, 400, _HEADERS, "application/json")
        except KeyError as error:
            body = error_body(f"simulated expert: no model {error}", "model_not_found")
            return Response(body, 404, _HEADERS, "application/json")
        stamp = Stamp(f"chatcmpl-simulated-{_mark(reply)}", int(time.time()), asked.model, "simulated")
        if asked.stream:
            events = stream_events(reply, stamp, asked.stream_options)
            return StreamingResponse(_flow(events, first, each), 200, _HEADERS, "text/event-stream")
        await asyncio.sleep(first + each * (reply.usage.output_tokens if reply.usage else 0))
        return Response(plain_body(reply, stamp), 200, _HEADERS, "application/json")

    async def models(self, _request: "Request") -> "Response":
        """GET /v1/models."""
        from starlette.responses import Response

        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in self._models
        ]
        body = msgspec.json.encode({"object": "list", "data": data})
        return Response(body, 200, _HEADERS, "application/json")

    async def banner(self, _request: "Request") -> "Response":
        """GET /: says what this is."""
        from starlette.responses import Response

        return Response(_BANNER, 200, _HEADERS, "text/plain")

    def _reply(self, move: Move, request: ExpertRequest, mark: str) -> Reply:
        declared = {tool.function.name for tool in request.tools or ()}
        content: str | None = None
        calls: tuple[ToolCall, ...] = ()
        if isinstance(move, Say):
            content = move.text
        elif move.tool in declared:
            arguments = msgspec.json.encode(move.arguments).decode()
            calls = (ToolCall(f"call_{mark}", FunctionCall(move.tool, arguments)),)
        else:
            content = f"I cannot do that here: the tool {move.tool} is not among mine (simulated)."
        size = tokens_of(content or "") + sum(
            tokens_of(call.function.name + call.function.arguments) + 4 for call in calls
        )
        finish = "tool_calls" if calls else "stop"
        limit = request.limit_tokens
        if limit is not None and size > limit:
            content, calls, size, finish = (content or "")[: limit * 4], (), limit, "length"
        return Reply(content, calls, _usage(request, size), finish)


def expert_app(
    seed: int = 7, models: tuple[ExpertModel, ...] = SIMULATED_MODELS, pace: float = 1.0
) -> "Starlette":
    """The simulated expert as an ASGI app."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    expert = Expert(models, seed, pace)
    return Starlette(
        routes=[
            Route("/", expert.banner),
            Route("/v1/models", expert.models),
            Route("/v1/chat/completions", expert.complete, methods=["POST"]),
        ]
    )


def _usage(request: ExpertRequest, output_tokens: int) -> Usage:
    """Input is all that was sent; cached is what an earlier call of the conversation had sent already."""
    tools = tokens_of(msgspec.json.encode(request.tools)) if request.tools else 0
    sizes = [tokens_of(msgspec.json.encode(message)) for message in request.messages]
    own = [at for at, message in enumerate(request.messages) if message.role == "assistant"]
    sent_before = tools + sum(sizes[: own[-1]]) if own else 0
    return Usage(
        input_tokens=tools + sum(sizes),
        output_tokens=output_tokens,
        cached_tokens=sent_before // 64 * 64,
    )


def _place(messages: list[HeardMessage], reading: Reading, right: Move) -> str:
    """Where in the talk the right move would be made: what was said, and how often its tool was used so far."""
    said = [message.text for message in messages if message.role in ("user", "assistant")]
    tried = sum(right.tool == tool for tool, _ in reading.results) if isinstance(right, Use) else 0
    text = msgspec.json.encode(([each for each in said if each], right, tried))
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _mark(reply: Reply) -> str:
    return hashlib.blake2b(msgspec.json.encode(reply), digest_size=8).hexdigest()


async def _flow(events: list[bytes], first: float, token_seconds: float) -> AsyncIterator[bytes]:
    """The events as a model writes them: a wait before the first, a short one before each other."""
    await asyncio.sleep(first)
    for event in events:
        yield event
        await asyncio.sleep(token_seconds * 6)
