"""What every door beside the calls stands behind: errors raised in it become answers."""

from collections.abc import Awaitable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from trimtab.core.errors import CallError
from trimtab.gateway.asgi import Gone, send_bytes
from trimtab.gateway.calls import fault_of
from trimtab.gateway.errors import error_reply


class Failing(Protocol):
    """An ASGI motion that may raise CallError."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve."""
        ...


class Door:
    """An ASGI endpoint that turns CallErrors into answers."""

    def __init__(self, motion: Failing) -> None:
        self._motion = motion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._motion(scope, receive, send)
        except CallError as error:
            await self._tell(error, send)
        except Gone:
            return
        except Exception as error:  # the edge of the process
            await self._tell(fault_of(error, scope.get("path_params", {}).get("run", "")), send)

    async def _tell(self, error: CallError, send: Send) -> None:
        status, body, headers = error_reply(error)
        await send_bytes(send, status, body, headers)
