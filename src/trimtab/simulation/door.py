"""The gateway's HTTP door as the driver uses it: calls and outcomes, measured; a refusal is a value.

Speaks HTTP only, so it drives any OpenAI-compatible address; knows nothing of runs beyond their headers.
"""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from trimtab.core import Clock
from trimtab.simulation.chat import ChatBody, Reply, ReplyReader, StreamOptions
from trimtab.simulation.report import CallMeasure

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_TRIES_WHEN_THROTTLED = 8
_LONGEST_WAIT_SECONDS = 30.0
_OUTCOME_SECONDS = 10.0
_FAULT_CHARACTERS = 300
_HEADER_CHARACTERS = 500


class Identity(msgspec.Struct, frozen=True):
    """Whose run it is; `key` is the tenant's API key. `agent` is left empty where the called model is one."""

    run: str
    workflow: str
    tenant: str
    user: str
    key: str
    task: str = ""
    agent: str = ""

    def headers(self, step: str) -> dict[str, str]:
        """The headers of a call of this run."""
        said = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            "x-trimtab-run": self.run,
            "x-trimtab-workflow": self.workflow,
            "x-trimtab-step": step,
            "x-trimtab-user": self.user,
            "x-trimtab-task": self.task,
            "x-trimtab-agent": self.agent,
        }
        return {name: _one_line(value) for name, value in said.items() if value}


class _Try(msgspec.Struct):
    """What one HTTP request brought."""

    status: int = 0
    reader: ReplyReader = msgspec.field(default_factory=ReplyReader)
    first_token_at: float | None = None
    retry_after: float | None = None
    call: str | None = None
    cost_nanodollars: int | None = None
    fault: str = ""
    answered_by: str = ""

    @property
    def may_wait(self) -> bool:
        """Whether the gateway asks to come again later."""
        return self.status == 429 or (self.status == 503 and self.retry_after is not None)


class Door:
    """Sends calls and outcomes to `base_url` (no trailing slash, without /v1)."""

    def __init__(self, client: "ClientSession", base_url: str, clock: Clock, deadline_seconds: float) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._deadline_seconds = deadline_seconds

    async def call(
        self, who: Identity, step: str, index: int, body: ChatBody
    ) -> tuple[Reply | None, CallMeasure]:
        """One call, tried again while a 429 or 503 says when. Without a reply, the measure says why."""
        waited = 0.0
        for throttled in range(_TRIES_WHEN_THROTTLED):
            began = self._clock.monotonic()
            tried = await self._try(who, step, body)
            ended = self._clock.monotonic()
            if not tried.may_wait or throttled == _TRIES_WHEN_THROTTLED - 1:
                break
            pause = min(_LONGEST_WAIT_SECONDS, 1.0 if tried.retry_after is None else tried.retry_after)
            waited += pause
            await asyncio.sleep(pause)
        reply = tried.reader.reply() if tried.status == 200 and not tried.fault else None
        first = tried.first_token_at
        measure = CallMeasure(
            run=who.run,
            step=step,
            index=index,
            model=body.model,
            stream=body.stream,
            status=tried.status,
            seconds=ended - began,
            first_token_seconds=first - began if first is not None else None,
            waited_seconds=waited,
            throttled=throttled + tried.may_wait,
            usage=reply.usage if reply else None,
            call=tried.call,
            cost_nanodollars=tried.cost_nanodollars,
            fault=tried.fault,
            answered_by=tried.answered_by,
        )
        return reply, measure

    async def outcome(self, who: Identity, reward: float, by: str, reason: str) -> int:
        """Tells whether the run did its job; the HTTP status, 0 where no answer came."""
        from aiohttp import ClientError, ClientTimeout

        request = self._client.post(
            f"{self._base_url}/v1/runs/{who.run}/outcome",
            headers={"authorization": f"Bearer {who.key}", "content-type": "application/json"},
            data=msgspec.json.encode({"reward": reward, "by": by, "reason": reason}),
            timeout=ClientTimeout(total=_OUTCOME_SECONDS),
        )
        try:
            async with request as response:
                return response.status
        except (ClientError, OSError):
            return 0

    async def _try(self, who: Identity, step: str, body: ChatBody) -> _Try:
        from aiohttp import ClientError, ClientTimeout

        tried = _Try()
        request = self._client.post(
            f"{self._base_url}/v1/chat/completions",
            headers=who.headers(step),
            data=msgspec.json.encode(body),
            timeout=ClientTimeout(total=self._deadline_seconds),
        )
        try:
            async with request as response:
                tried.status = response.status
                self._note(tried, response)
                if body.stream and response.status == 200:
                    await self._follow(tried, response)
                else:
                    self._take(tried, await response.read())
        except (ClientError, OSError) as error:
            tried.fault = f"{type(error).__name__}: {error}"
        except msgspec.DecodeError as error:
            tried.fault = f"the reply cannot be read: {error}"
        tried.fault = tried.fault or tried.reader.fault
        return tried

    def _note(self, tried: _Try, response: "ClientResponse") -> None:
        tried.call = response.headers.get("x-trimtab-call")
        tried.answered_by = response.headers.get("x-trimtab-answered-by", "")
        cost = response.headers.get("x-trimtab-cost-nanodollars", "")
        tried.cost_nanodollars = int(cost) if cost.isdecimal() else None
        after = response.headers.get("retry-after", "")
        tried.retry_after = float(after) if after.replace(".", "", 1).isdecimal() else None

    async def _follow(self, tried: _Try, response: "ClientResponse") -> None:
        async for chunk in response.content.iter_any():
            tried.reader.feed(chunk)
            if tried.first_token_at is None and tried.reader.begun:
                tried.first_token_at = self._clock.monotonic()
        if not tried.reader.fault and not tried.reader.reply().finish:
            tried.fault = "the stream broke off"

    def _take(self, tried: _Try, body: bytes) -> None:
        if tried.status == 200:
            tried.reader.read(body)
        else:
            tried.fault = body[:_FAULT_CHARACTERS].decode(errors="replace") or f"status {tried.status}"


def _one_line(text: str) -> str:
    """Text as a header can carry it."""
    return "".join(each if each.isprintable() else " " for each in text)[:_HEADER_CHARACTERS]


def streamed(body: ChatBody) -> ChatBody:
    """The same body, asking for a stream that ends with usage."""
    return msgspec.structs.replace(body, stream=True, stream_options=StreamOptions(include_usage=True))
