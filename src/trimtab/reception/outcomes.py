"""How a run ended, told to a client that waits for it, for as long as it waits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trimtab.reception.desk import said
from trimtab.store import WorkflowRunRow
from trimtab.workflows import Host, failure_of


class Outcome:
    """A run's values, once it is over; `gone` is awaited where the client leaves before."""

    def __init__(
        self,
        host: Host,
        run: str,
        headers: Mapping[str, str],
        gone: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._host, self._run, self._headers, self._gone = host, run, headers, gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises NotFound where the run is deleted meanwhile."""
        over = asyncio.ensure_future(self._host.wait(self._run))
        left = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((over, left), return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                await self._told(over.result())(scope, receive, send)
            elif self._gone is not None:
                with suppress(Exception):  # the run is over, or gone itself
                    await self._gone()
        finally:
            over.cancel()
            left.cancel()
            await asyncio.gather(over, left, return_exceptions=True)

    def _told(self, row: WorkflowRunRow) -> Response:
        if row.state in ("failed", "parked"):
            return said({"__error__": failure_of(row.error)}, headers=self._headers)
        return said(msgspec.Raw(row.output or b"null"), headers=self._headers)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
