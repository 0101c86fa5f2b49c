"""The cassette: an OpenAI-style endpoint that answers every call with what was recorded.

The driver names the recorded call in the vendor field `trimtab_cassette`; the cassette checks that model and
messages are those of the record, so a replay proves that bodies arrive intact. It never makes anything up.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from trimtab.core import Usage
from trimtab.core.errors import DataError
from trimtab.simulation.chat import Reply, Stamp, StreamOptions, error_body, plain_body, stream_events
from trimtab.simulation.records import RecordedRun, read_domains, read_threads
from trimtab.simulation.transcript import ConversationDigest, calls_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


class CassetteRequest(msgspec.Struct):
    """What the cassette reads of a body."""

    model: str
    messages: list[msgspec.Raw]
    trimtab_cassette: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None


class Track(msgspec.Struct, frozen=True):
    """A recorded answer and the digest of the conversation it answered."""

    model: str
    digest: str
    reply: Reply
    seconds: float | None


class Billed(msgspec.Struct, frozen=True):
    """What one model was billed for: `usage` sums the calls that were recorded with usage."""

    model: str
    calls: int
    calls_without_usage: int
    usage: Usage


class Mismatch(msgspec.Struct, frozen=True):
    """Why a request has no answer on this cassette: an HTTP status, a stable code and what to do."""

    status: int
    code: str
    message: str


class Cassette:
    """Recorded answers by key, and the record of what was served and billed.

    `runs` have calls; `runs_left_out` are in the file too, but nothing of what they said is.
    """

    def __init__(self, tracks: dict[str, Track], runs: int, runs_left_out: int = 0) -> None:
        self._tracks = tracks
        self._served: Counter[str] = Counter()
        self.runs = runs
        self.runs_left_out = runs_left_out

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def models(self) -> tuple[str, ...]:
        """The recorded models, sorted."""
        return tuple(sorted({track.model for track in self._tracks.values()}))

    def find(self, request: CassetteRequest) -> Track | Mismatch:
        """The recorded answer for this request, or why there is none."""
        key = request.trimtab_cassette
        if key is None:
            text = "the body has no `trimtab_cassette`: replay with `trimtab replay`, pass unknown fields on"
            return Mismatch(400, "cassette_key_missing", text)
        track = self._tracks.get(key)
        if track is None:
            return Mismatch(404, "cassette_key_unknown", f"call {key!r} is not on this cassette")
        if request.model != track.model:
            text = f"call {key!r} was recorded with model {track.model!r}, not {request.model!r}"
            return Mismatch(409, "cassette_model_differs", text)
        if ConversationDigest.of(request.model, request.messages).text != track.digest:
            text = f"the messages of call {key!r} are not those recorded: the body was changed on its way"
            return Mismatch(409, "cassette_messages_differ", text)
        return track

    def bill(self, key: str) -> None:
        """Counts one served answer."""
        self._served[key] += 1

    def served(self, key: str) -> int:
        """How often a call was served: more than once where a gateway retried or hedged it."""
        return self._served[key]

    def billed(self) -> tuple[Billed, ...]:
        """What was served so far, by model; a call served twice is billed twice."""
        return tuple(self._bill_of(model) for model in self.models)

    def _bill_of(self, model: str) -> Billed:
        calls = unknown = 0
        sums: Counter[str] = Counter()
        for key, times in self._served.items():
            track = self._tracks[key]
            if track.model != model:
                continue
            calls += times
            if track.reply.usage is None:
                unknown += times
            else:
                for name, tokens in msgspec.structs.asdict(track.reply.usage).items():
                    sums[name] += times * tokens
        return Billed(model, calls, unknown, Usage(**sums))


def load_cassette(path: Path, agents: tuple[str, ...] = ()) -> Cassette:
    """Reads a file of recorded runs (of these agents; none named means all).

    Raises DataError, also where there is nothing to play.
    """
    domains = read_domains(path)
    tracks: dict[str, Track] = {}
    seen: set[str] = set()
    played: Counter[bool] = Counter()
    there: Counter[str] = Counter()
    for threads in read_threads(path):
        there[threads[0].agent] += 1
        if agents and threads[0].agent not in agents:
            continue
        before = len(tracks)
        for thread in threads:
            _refuse_twin(thread, seen, path)
            for call in calls_of(thread, domains.get(thread.domain)):
                tracks[call.key] = Track(call.model, call.digest, call.reply, call.seconds)
        played[len(tracks) > before] += 1
    if not tracks:
        raise _nothing_to_play(path, agents, there)
    return Cassette(tracks, played[True], played[False])


def _nothing_to_play(path: Path, agents: tuple[str, ...], there: Counter[str]) -> DataError:
    """Why a file has nothing to play; `there` counts its runs by agent."""
    listed = ", ".join(f"{agent or '(no agent)'} ({count})" for agent, count in sorted(there.items()))
    if not there:
        return DataError("no run is in it", file=str(path), remedy="write runs with `trimtab traces export`")
    if agents and not any(agent in there for agent in agents):
        named = " or ".join(agents)
        remedy = "name one of these agents, or leave --agents out to play all"
        return DataError(
            f"no run of {named} is in it; its agents (runs): {listed}", file=str(path), remedy=remedy
        )
    remedy = 'only what [traces] content = "store" kept can be played; export runs that were recorded with it'
    problem = f"none of the chosen runs has a call; its agents (runs): {listed}"
    return DataError(problem, file=str(path), remedy=remedy)


def _refuse_twin(run: RecordedRun, seen: set[str], path: Path) -> None:
    if run.id in seen:
        raise DataError(
            f"two runs are both {run.id}",
            file=str(path),
            field="trial",
            remedy="give repeated runs of a task different trial numbers",
        )
    seen.add(run.id)


class CassettePlayer:
    """Answers HTTP from a cassette. `pace` scales recorded latency: 1 keeps it, 0 answers at once."""

    def __init__(self, cassette: Cassette, pace: float) -> None:
        self._cassette = cassette
        self._pace = pace

    async def complete(self, request: "Request") -> "Response":
        """POST /v1/chat/completions."""
        from starlette.responses import Response, StreamingResponse

        try:
            asked = msgspec.json.decode(await request.body(), type=CassetteRequest)
            found = self._cassette.find(asked)
        except msgspec.DecodeError as error:
            found = Mismatch(400, "invalid_request", f"the body cannot be read: {error}")
        if isinstance(found, Mismatch):
            body = error_body(found.message, found.code)
            return Response(body, found.status, media_type="application/json")
        key = asked.trimtab_cassette or ""
        self._cassette.bill(key)
        stamp = Stamp(f"chatcmpl-{key}", 0, asked.model, "recorded")
        headers = {"x-trimtab-cassette": key}
        seconds = (found.seconds or 0.0) * self._pace
        if asked.stream:
            events = stream_events(found.reply, stamp, asked.stream_options)
            return StreamingResponse(_paced(events, seconds), headers=headers, media_type="text/event-stream")
        await asyncio.sleep(seconds)
        return Response(plain_body(found.reply, stamp), headers=headers, media_type="application/json")

    async def models(self, _request: "Request") -> "Response":
        """GET /v1/models."""
        from starlette.responses import Response

        models = [{"id": model, "object": "model", "owned_by": "cassette"} for model in self._cassette.models]
        body = msgspec.json.encode({"object": "list", "data": models})
        return Response(body, media_type="application/json")

    async def billed(self, _request: "Request") -> "Response":
        """GET /billed: what was served so far, by model."""
        from starlette.responses import Response

        told = [asdict(line) | {"usage": asdict(line.usage)} for line in self._cassette.billed()]
        return Response(msgspec.json.encode(told), media_type="application/json")


def cassette_app(cassette: Cassette, pace: float = 0.0) -> "Starlette":
    """The cassette as an ASGI app."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    player = CassettePlayer(cassette, pace)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", player.complete, methods=["POST"]),
            Route("/v1/models", player.models),
            Route("/billed", player.billed),
        ]
    )


async def _paced(events: list[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The events, spread evenly over `seconds`: a record says when a reply was whole, not how it flowed."""
    for event in events:
        if seconds:
            await asyncio.sleep(seconds / len(events))
        yield event
