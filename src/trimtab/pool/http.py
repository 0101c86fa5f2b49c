"""HTTP to endpoints: one connection pool a process, deadlines on every wait, and failures told apart by
whether the endpoint may have charged.

aiohttp rather than a Rust client: cancelling a request must close its connection, so that a client that goes
away stops the generation it would pay for.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping

import aiohttp
from yarl import URL

from trimtab.config import TimeoutSettings
from trimtab.core.errors import DeadlineExceeded, UpstreamError
from trimtab.pool.patience import Patience

_KEEPALIVE_SECONDS = 30
_MOST_REPLY_BYTES = 64 * 1024 * 1024
# Sent piece by piece, so that one large body does not hold up everybody else.
_LARGE_BODY = 256 * 1024
# Timers may fire this much early.
_TIMER_SECONDS = 0.002


class Answer:
    """An endpoint's open response. Bodies are read with deadlines, in seconds of the event loop.

    `total_at` is the endpoint's: UpstreamError after it; `due_at` is the call's own: DeadlineExceeded.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        endpoint: str,
        timeouts: TimeoutSettings,
        patience: Patience,
        total_at: float,
        due_at: float,
    ) -> None:
        self._response, self._endpoint, self._timeouts = response, endpoint, timeouts
        self._total_at, self._due_at = total_at, due_at
        self._idle, self._patience = timeouts.idle, patience
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def body(self) -> bytes:
        """The whole body (at most 64 MiB). Raises UpstreamError, DeadlineExceeded."""
        parts: list[bytes] = []
        size = 0
        while part := await self._part():
            size += len(part)
            if size > _MOST_REPLY_BYTES:
                raise self._error("sent more than 64 MiB", "upstream_too_large", retryable=False)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises UpstreamError, DeadlineExceeded."""
        while part := await self._part():
            yield part

    async def _part(self) -> bytes:
        try:
            return await self._next(self._response.content)
        except TimeoutError as error:
            raise self._too_slow() from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise self._error(
                f"broke off its reply: {_words(error)}", "upstream_broken_reply", retryable=True
            ) from error

    def hurry(self, seconds: float) -> None:
        """Wait at most `seconds` for each further part: everything that matters is there."""
        self._idle = min(self._idle, seconds)

    def close(self) -> None:
        """Done with it: the connection goes back to the pool, or is closed where the body was not read out."""
        if not self._response.content.at_eof():
            self._response.close()
        self._response.release()

    async def _next(self, content: aiohttp.StreamReader) -> bytes:
        until = min(self._total_at, self._due_at)
        now = asyncio.get_running_loop().time()
        if now > until:
            raise TimeoutError
        part = content.read_nowait()
        if part or content.at_eof():
            return part
        with self._patience.until(min(until, now + self._idle)):
            return await content.readany()

    def _too_slow(self) -> UpstreamError | DeadlineExceeded:
        """Which of the deadlines has passed."""
        now = asyncio.get_running_loop().time() + _TIMER_SECONDS
        if now >= self._due_at:
            return _overdue(self._endpoint)
        if now >= self._total_at:
            return self._error(
                f"took longer than {self._timeouts.total:g} s", "upstream_timeout", retryable=True
            )
        return self._error(f"sent nothing for {self._idle:g} s", "upstream_idle_timeout", retryable=True)

    def _error(self, what: str, code: str, *, retryable: bool) -> UpstreamError:
        return UpstreamError(
            f"endpoint {self._endpoint} {what}",
            endpoint=self._endpoint,
            status=self.status,
            code=code,
            retryable=retryable,
            billable=True,
        )


class Http:
    """The process's client. Constructed by `app/`, opened inside the event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}
        self._patience = Patience()
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def start(self) -> None:
        """Open the connection pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept"),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        endpoint: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: TimeoutSettings,
        head_seconds: float,
        left_seconds: float,
    ) -> Answer:
        """POST and wait at most `head_seconds` for the response's head; the answer must be closed.

        `left_seconds` are left until the call's own deadline. Raises UpstreamError (`billable` is False only
        when nothing can have been charged), DeadlineExceeded.
        """
        assert self._session is not None
        now = asyncio.get_running_loop().time()
        due_at = now + left_seconds
        request = self._session.post(
            self._parsed(url),
            data=body if len(body) <= _LARGE_BODY else io.BytesIO(body),
            headers=headers,
            timeout=self._deadlines(timeouts.connect),
            allow_redirects=False,
        )
        try:
            with self._patience.until(min(now + head_seconds, due_at)):
                response = await request
            return Answer(response, endpoint, timeouts, self._patience, now + timeouts.total, due_at)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise _not_sent(endpoint, error) from error
        except TimeoutError as error:
            if left_seconds < head_seconds:
                raise _overdue(endpoint) from error
            raise UpstreamError(
                f"endpoint {endpoint} gave no answer within {head_seconds:g} s",
                endpoint=endpoint,
                code="upstream_timeout",
                billable=True,
            ) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamError(
                f"endpoint {endpoint} closed the connection before it answered: {_words(error)}",
                endpoint=endpoint,
                code="upstream_disconnected",
                billable=True,
            ) from error

    def _parsed(self, url: str) -> URL:
        """Endpoints are few; parsing their URLs for every call is not free."""
        found = self._urls.get(url)
        if found is None:
            found = self._urls[url] = URL(url)
        return found

    def _deadlines(self, connect_seconds: float) -> aiohttp.ClientTimeout:
        found = self._timeouts.get(connect_seconds)
        if found is None:
            found = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
            self._timeouts[connect_seconds] = found
        return found


def _overdue(endpoint: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"the call's own deadline passed while endpoint {endpoint} was at it")


def _not_sent(endpoint: str, error: Exception) -> UpstreamError:
    return UpstreamError(
        f"endpoint {endpoint} cannot be reached: {_words(error)}",
        endpoint=endpoint,
        code="upstream_unreachable",
        billable=False,
    )


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
