"""An httpx transport that puts the current run and step on every request.

For httpx2 (what the OpenAI and Anthropic SDKs use) and for httpx alike; imported only when asked for.
"""

from importlib import import_module
from typing import Any

from trimtab.client.context import headers


def transport(inner: Any = None, *, library: str = "httpx2") -> Any:  # noqa: ANN401 - of the library named
    """A synchronous transport around `inner` (default: a new one). `library`: httpx2 or httpx."""
    http = _library(library)
    wrapped = inner or http.HTTPTransport()

    class RunTransport(http.BaseTransport):  # type: ignore[misc, name-defined]
        """Adds the run's headers."""

        def handle_request(self, request: Any) -> Any:  # noqa: ANN401 - the library's types
            request.headers.update(headers())
            return wrapped.handle_request(request)

        def close(self) -> None:
            wrapped.close()

    return RunTransport()


def async_transport(inner: Any = None, *, library: str = "httpx2") -> Any:  # noqa: ANN401 - as above
    """The asynchronous twin, for `AsyncClient`."""
    http = _library(library)
    wrapped = inner or http.AsyncHTTPTransport()

    class AsyncRunTransport(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        """Adds the run's headers."""

        async def handle_async_request(self, request: Any) -> Any:  # noqa: ANN401 - the library's types
            request.headers.update(headers())
            return await wrapped.handle_async_request(request)

        async def aclose(self) -> None:
            await wrapped.aclose()

    return AsyncRunTransport()


def _library(name: str) -> Any:  # noqa: ANN401 - a module
    if name not in ("httpx2", "httpx"):
        raise ValueError(f"library is httpx2 or httpx, not {name!r}")
    return import_module(name)


def tag(request: Any) -> None:  # noqa: ANN401 - any request with `headers`
    """An event hook doing the same: `Client(event_hooks={"request": [tag]})`."""
    request.headers.update(headers())
