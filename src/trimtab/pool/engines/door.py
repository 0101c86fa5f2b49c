"""HTTP to an engine's own pages: apart from the calls' connections, bounded in time and size, never retried."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec

from trimtab.config import engine_root
from trimtab.core.errors import UpstreamError
from trimtab.pool.endpoint import Endpoint

_MOST_BYTES = 8 * 1024 * 1024
_SHOWN = 300
_NO_PAGE = (404, 405, 501)


class EngineDoor:
    """One client for all engines of the process. Opened when first used; `close` it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def get(self, endpoint: Endpoint, url: str, seconds: float) -> bytes | None:
        """A page; None where there is none (404, 405, 501). Raises UpstreamError."""
        return await self._ask(endpoint, "GET", url, None, seconds)

    async def post(self, endpoint: Endpoint, path: str, body: Mapping[str, object], seconds: float) -> None:
        """Tell the engine something. Raises UpstreamError with what it answered, if that is no 2xx."""
        url = engine_root(endpoint.settings) + path
        await self._ask(endpoint, "POST", url, msgspec.json.encode(body), seconds)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(
        self, endpoint: Endpoint, method: str, url: str, body: bytes | None, seconds: float
    ) -> bytes | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(endpoint, method, url, body)
        except TimeoutError as error:
            raise _failed(endpoint, url, f"gave no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(endpoint, url, str(error).strip() or type(error).__name__) from error

    async def _exchange(self, endpoint: Endpoint, method: str, url: str, body: bytes | None) -> bytes | None:
        headers = _headers(endpoint, url)
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            said = await answer.content.read(_MOST_BYTES)
            if method == "GET" and answer.status in _NO_PAGE:
                return None
            if not 200 <= answer.status < 300:
                text = endpoint.masked(said[:_SHOWN].decode("utf-8", "replace"))
                raise _failed(endpoint, url, f"answered {answer.status}: {text}", answer.status)
            while part := await answer.content.read(_MOST_BYTES - len(said)):
                said += part
            if not answer.content.at_eof():
                raise _failed(endpoint, url, "sent more than 8 MiB", answer.status)
            return said


def _headers(endpoint: Endpoint, url: str) -> dict[str, str]:
    """Our key goes to the endpoint itself only: its metrics may stand on somebody else's host."""
    settings = endpoint.settings
    headers = {"content-type": "application/json"}
    if urlsplit(url).netloc == urlsplit(settings.url).netloc:
        headers |= settings.headers
        if endpoint.secret:
            headers["authorization"] = f"Bearer {endpoint.secret}"
    return headers


def _failed(endpoint: Endpoint, url: str, what: str, status: int | None = None) -> UpstreamError:
    return UpstreamError(
        f"the engine of endpoint {endpoint.name} at {urlsplit(url).path}: {what}",
        endpoint=endpoint.name,
        status=status,
        code="engine_unreachable" if status is None else "engine_refused",
        billable=False,
    )
