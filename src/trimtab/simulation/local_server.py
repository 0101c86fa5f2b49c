"""A local HTTP server: an ASGI app on 127.0.0.1 in this process and loop, on a port the system chooses.

Used by demos, replays and tests; it leaves signals to whoever runs the loop.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from uvicorn import Server

_START_SECONDS = 20.0
_STOP_SECONDS = 5

_Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


class LocalServer:
    """`async with LocalServer(app) as server:` serves at `server.url` until the block is left."""

    def __init__(self, app: AsgiApp, port: int = 0) -> None:
        self._app = app
        self._port = port
        self._server: Server | None = None
        self._serving = asyncio.TaskGroup()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where the server is: http://127.0.0.1:port."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Binds and serves. Raises OSError where the port is taken, TimeoutError where start-up fails."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", self._port))
        except OSError:
            self._socket.close()
            raise
        self._server = _quiet_server(self._app)
        await self._serving.__aenter__()
        task = self._serving.create_task(self._server.serve(sockets=[self._socket]))
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while not self._server.started:
            if task.done() or asyncio.get_running_loop().time() > deadline:
                await self.__aexit__(None, None, None)
                raise TimeoutError("the local server did not start")
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets open requests end for a few seconds, then stops."""
        assert self._server is not None
        self._server.should_exit = True
        await self._serving.__aexit__(None, None, None)
        self._socket.close()


def _quiet_server(app: AsgiApp) -> "Server":
    from uvicorn import Config, Server

    class Quiet(Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = Config(
        app, log_level="error", access_log=False, lifespan="auto", timeout_graceful_shutdown=_STOP_SECONDS
    )
    return Quiet(config)
