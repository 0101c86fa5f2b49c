"""A house behind a real socket, and what tests ask of it: requests, ledger lines, whether it is at rest."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from sqlalchemy import Connection, Row, select

import trimtab
from trimtab.app.house import House
from trimtab.core import Clock, Price, Rates, Usage
from trimtab.store.schema import call, entry, recall, run
from trimtab.tenants import create_key

from .upstream import Upstream

INPUT_USD, OUTPUT_USD = 1.0, 10.0
# What attempts wait by: the queue of the endpoint that was planned, or the scheduler.
WAITS = {"queues": "", "scheduled": '[scheduling]\npolicy = "default"\n'}
# All but reasoning: what such a model makes can be seen.
SHOWN = 'capabilities = ["tools", "json_schema", "vision", "audio", "logprobs", "n", "embeddings"]\n'
_OURS = tuple(f"{Path(package.__file__).parent}{os.sep}" for package in (trimtab, uvicorn))
PRICE = Price((Rates(input=1_000_000_000, output=10_000_000_000),))


def cost(usage: Usage) -> int:
    """What `endpoint` below asks, in nanodollars."""
    return PRICE.cost(usage)


def endpoint(upstream: Upstream, name: str = "main", models: str = '"gpt-small"', more: str = "") -> str:
    """The TOML of one endpoint at the upstream, priced, without retries."""
    retries = "" if "retries" in more else "retries = 0\n"
    price = "" if "price" in more else f"price = {{ input = {INPUT_USD}, output = {OUTPUT_USD} }}\n"
    return f'[[endpoint]]\nname = "{name}"\nurl = "{upstream.url}"\nmodels = [{models}]\n{retries}{price}{more}\n'


@dataclass
class Answered:
    """An HTTP answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The data of the stream's events, decoded where they are JSON."""
        blocks = [block for block in self.body.decode().split("\n\n") if block.strip()]
        datas = ["\n".join(ln[6:] for ln in b.splitlines() if ln.startswith("data: ")) for b in blocks]
        return [json.loads(data) if data.startswith("{") else data for data in datas]

    @property
    def text(self) -> str:
        """What a chat stream said."""
        choices = [c for e in self.events if isinstance(e, dict) for c in e.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


def ask(model: str = "gpt-small", text: str = "Hello?", **members: object) -> dict[str, object]:
    """A chat request; it names a maximum so that holds are small."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "max_completion_tokens": 50} | members


@dataclass
class Served:
    """A house on its port."""

    house: House
    url: str
    session: aiohttp.ClientSession
    clock: Clock
    quiet: set[asyncio.Task[Any]] = field(default_factory=set)
    close: Callable[[], Awaitable[None]] | None = None

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    async def post(
        self, body: object, path: str = "/v1/chat/completions", headers: Mapping[str, str] | None = None
    ) -> Answered:
        """POST a value as JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "application/json", **(headers or {})}
        async with self.session.post(self.url + path, data=data, headers=named) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answered:
        async with self.session.get(self.url + path, headers=headers or {}) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def key(
        self,
        tenant: str = "acme",
        user: str = "",
        role: str = "operator",
        models: tuple[str, ...] = (),
        expires_at: float | None = None,
    ) -> str:
        """A new key that is known at once."""
        secret, _ = await asyncio.to_thread(
            create_key, self.house.database, self.clock, tenant, user, role, models, expires_at
        )
        await self.house.keyring.load()
        return secret

    async def entries(self) -> Sequence[Row[Any]]:
        """The ledger's lines, oldest first, once every call has ended."""
        await self.at_rest()
        return await self.rows(entry)

    async def entry(self) -> Row[Any]:
        """The only line."""
        (line,) = await self.entries()
        return line

    async def calls(self) -> Sequence[Row[Any]]:
        await self.at_rest()
        return await self.rows(call)

    async def call(self) -> Row[Any]:
        (line,) = await self.calls()
        return line

    async def runs(self) -> Mapping[tuple[str, str], Row[Any]]:
        """Runs by (tenant, id)."""
        return {(row.tenant, row.id): row for row in await self.rows(run)}

    async def recalls(self) -> Sequence[Row[Any]]:
        return await self.rows(recall)

    async def rows(self, table: Any) -> Sequence[Row[Any]]:
        await self.house.writer.flush()

        def work(connection: Connection) -> Sequence[Row[Any]]:
            order = [table.c.at] if "at" in table.c else []
            return connection.execute(select(table).order_by(*order, *table.primary_key.columns)).all()

        return await self.house.database.run(work)

    async def at_rest(self, seconds: float = 5.0) -> None:
        """Wait until no call is under way; fails where one has left something behind."""
        deadline = asyncio.get_running_loop().time() + seconds
        while faults := self._faults():
            assert asyncio.get_running_loop().time() < deadline, faults
            await asyncio.sleep(0.005)

    def _faults(self) -> list[str]:
        house = self.house
        faults = [f"{house.ledger.open_holds} open holds"] if house.ledger.open_holds else []
        if taken := house.http._session.connector._acquired:
            faults.append(f"{len(taken)} connections to endpoints")
        for place in house.pool.endpoints.values():
            if place.in_flight or len(place.queue):
                faults.append(f"{place.name}: {place.in_flight} in flight, {len(place.queue)} queued")
            if place.machine._weights:
                faults.append(f"{place.name}: {place.machine._weights} tokens on its machine")
        return faults

    async def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for a state of the house."""
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)

    async def no_strays(self, seconds: float = 5.0) -> None:
        """Wait until calls have no task left running; fails where one runs on."""
        deadline = asyncio.get_running_loop().time() + seconds
        while strays := [task for task in asyncio.all_tasks() - self.quiet if _is_ours(task)]:
            assert asyncio.get_running_loop().time() < deadline, strays
            await asyncio.sleep(0.005)


def _is_ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(_OURS)
