"""A load test's side of the gateway's door: streamed chat completions, the models there are, runs closed, costs asked.

Speaks HTTP only, so any OpenAI-compatible address can be loaded; what only Trimtab tells is unknown elsewhere.
"""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from trimtab.core.errors import ConfigError
from trimtab.simulation.chat import Message, ReplyReader, StreamOptions
from trimtab.simulation.loading.tally import Answered

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_ASKING_SECONDS = 10.0
_MOST_FAULT_BYTES = 64 * 1024
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")


class CallBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request body as the load test sends it."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    stream: bool
    stream_options: StreamOptions
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Fault(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None


class _Refusal(msgspec.Struct):
    error: _Fault | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Run(msgspec.Struct):
    nanodollars: int = 0
    unpriced: int = 0


class Client:
    """One gateway at `url` (without /v1), with a key. `session` is the caller's to close."""

    def __init__(self, session: "ClientSession", url: str, key: str, deadline_seconds: float) -> None:
        self._session, self.url, self._deadline = session, url, deadline_seconds
        self._key = {"authorization": f"Bearer {key}"} if key else {}

    async def models(self) -> tuple[str, ...]:
        """The models it serves. Raises ConfigError where nothing, or no such gateway, is at the URL."""
        from aiohttp import ClientError, ClientTimeout, InvalidURL

        timeout = ClientTimeout(total=_ASKING_SECONDS)
        try:
            async with self._session.get(f"{self.url}/v1/models", headers=self._key, timeout=timeout) as told:
                status, body = told.status, await told.read()
        except (InvalidURL, ValueError) as error:
            raise ConfigError(f"{self.url!r} is no URL; write http://HOST:PORT", key="--url") from error
        except TimeoutError as error:
            said = f"{self.url} did not answer within {_ASKING_SECONDS:g} s"
            raise ConfigError(f"{said}; is the gateway up?", key="--url") from error
        except (ClientError, OSError) as error:
            said = f"nothing answers at {self.url} ({error})"
            raise ConfigError(
                f"{said}; start it with `trimtab serve`, or mend the URL", key="--url"
            ) from error
        if status in (401, 403):
            raise ConfigError(f"{self.url} does not take this key (status {status})", key="--key")
        try:
            if status != 200:
                raise msgspec.DecodeError(f"status {status}")
            return tuple(each.id for each in msgspec.json.decode(body, type=_Models).data)
        except msgspec.DecodeError as error:
            said = f"{self.url} is no OpenAI-compatible gateway: /v1/models does not list models ({error})"
            raise ConfigError(said, key="--url") from error

    async def call(self, body: CallBody, headers: Mapping[str, str]) -> Answered:
        """One streamed call. Never raises but for a cancellation."""
        from aiohttp import ClientError, ClientTimeout

        # The loop's own clock counts in milliseconds only.
        began = time.perf_counter()
        reader, first, status = ReplyReader(), None, 0
        request = self._session.post(
            f"{self.url}/v1/chat/completions",
            headers={"content-type": "application/json", **self._key, **headers},
            data=msgspec.json.encode(body),
            timeout=ClientTimeout(total=self._deadline),
        )
        try:
            async with request as response:
                status = response.status
                if status != 200:
                    return await _refused(response, time.perf_counter() - began)
                async for chunk in response.content.iter_any():
                    reader.feed(chunk)
                    if first is None and reader.begun:
                        first = time.perf_counter() - began
                return _answered(reader, response, time.perf_counter() - began, first)
        except TimeoutError:
            return Answered(status, "client_timeout", time.perf_counter() - began)
        except (ClientError, OSError) as error:
            return Answered(0, _code(type(error).__name__), time.perf_counter() - began)
        except msgspec.DecodeError:
            return Answered(status, "unreadable_reply", time.perf_counter() - began)

    async def close_run(self, run: str, reward: float, reason: str) -> bool:
        """Posts a run's outcome, which closes it; whether the gateway took it."""
        from aiohttp import ClientError, ClientTimeout

        told = msgspec.json.encode({"reward": reward, "by": "trimtab load", "reason": reason})
        try:
            async with self._session.post(
                f"{self.url}/v1/runs/{run}/outcome",
                headers={"content-type": "application/json", **self._key},
                data=told,
                timeout=ClientTimeout(total=_ASKING_SECONDS),
            ) as response:
                return response.status == 200
        except (ClientError, OSError, TimeoutError):
            return False

    async def cost(self, run: str) -> int | None:
        """What a run cost so far, in nanodollars; None where nobody can tell."""
        from aiohttp import ClientError, ClientTimeout

        timeout = ClientTimeout(total=_ASKING_SECONDS)
        try:
            async with self._session.get(
                f"{self.url}/v1/runs/{run}", headers=self._key, timeout=timeout
            ) as response:
                if response.status != 200:
                    return None
                told = msgspec.json.decode(await response.read(), type=_Run)
                return None if told.unpriced else told.nanodollars
        except (ClientError, OSError, TimeoutError, msgspec.DecodeError):
            return None


def _answered(
    reader: ReplyReader, response: "ClientResponse", seconds: float, first: float | None
) -> Answered:
    reply = reader.reply()
    code = "error_in_stream" if reader.fault else "" if reply.finish else "stream_broke_off"
    cost = response.headers.get("x-trimtab-cost-nanodollars", "")
    return Answered(
        200,
        code,
        seconds,
        first,
        nanodollars=int(cost) if cost.isdecimal() else None,
        input_tokens=reply.usage.input_tokens if reply.usage else None,
        output_tokens=reply.usage.output_tokens if reply.usage else None,
        answered_by=response.headers.get("x-trimtab-answered-by", ""),
    )


async def _refused(response: "ClientResponse", seconds: float) -> Answered:
    body = await response.content.read(_MOST_FAULT_BYTES)
    try:
        fault = msgspec.json.decode(body, type=_Refusal).error or _Fault()
    except msgspec.DecodeError:
        fault = _Fault()
    after = response.headers.get("retry-after", "")
    return Answered(
        response.status,
        _code(str(fault.code or fault.type or "refused")),
        seconds,
        retry_after=float(after) if after.replace(".", "", 1).isdecimal() else None,
    )


def _code(text: str) -> str:
    """A refusal's code, fit for a table: what answers there may be anything."""
    return text if _CODE.fullmatch(text) else "strange_code"
