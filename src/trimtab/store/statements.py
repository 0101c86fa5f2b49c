"""Statements that are transactions of their own, sent to PostgreSQL from the event loop itself.

One round trip and no thread: for what every step of a run waits for. All else goes through `Database`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from sqlalchemy import URL

from trimtab.core.errors import StoreUnavailable
from trimtab.store.line import POSTGRES_TERMS, speaks

_MOST_CONNECTIONS = 4
_ANSWER_SECONDS = 10.0
_Connection: TypeAlias = Any  # psycopg's, which is there only where PostgreSQL is used


class Statements:
    """A few connections, made when they are needed. `aclose` when all is done."""

    def __init__(self, url: URL) -> None:
        self._terms: dict[str, Any] = {**url.get_dialect()().create_connect_args(url)[1], **POSTGRES_TERMS}
        self._is_closed = False
        self._free: list[_Connection] = []
        self._gate = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """The rows a statement gives. Raises StoreUnavailable, after ten seconds too (twenty where the server is
        frozen): then it may have been done."""
        from psycopg import InterfaceError, OperationalError

        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._gate:
                connection = await self._take()
                try:
                    found = await connection.execute(statement, parameters)
                    rows: list[tuple[Any, ...]] = await found.fetchall()
                except BaseException:
                    await connection.close()
                    raise
                self._free.append(connection)
                if self._is_closed:
                    await self.aclose()
                return rows
        except (OperationalError, InterfaceError) as error:
            said = str(error).strip() or type(error).__name__
            raise StoreUnavailable(f"the database does not answer: {said.splitlines()[0]}") from error
        except TimeoutError as error:
            raise StoreUnavailable(f"the database gave no answer within {_ANSWER_SECONDS:g} s") from error

    async def _take(self) -> _Connection:
        from psycopg import AsyncConnection

        while self._free:
            connection = self._free.pop()
            if not speaks(connection.fileno()):
                return connection
            await connection.close()
        return await AsyncConnection.connect(autocommit=True, **self._terms)

    async def aclose(self) -> None:
        """Give the connections back; those still in use, once they are free."""
        self._is_closed = True
        while self._free:
            with suppress(Exception):
                await self._free.pop().close()
