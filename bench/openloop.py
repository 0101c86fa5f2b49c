"""An open-loop client: sends at a fixed rate whatever comes back, and reports how long the answers took.

Run as a program by the benchmark, with an `Order` as JSON on stdin; prints a `Report` as JSON. Raw sockets
and httptools, so that the client's own time is small and the same for every target.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

DEADLINE_SECONDS = 20.0
WARM_UP = 40
CALLS_PER_RUN = 8
FIRST_TOKEN = re.compile(rb'"content":\s*"[^"]')


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: `headers` may carry `{run}`, which becomes a run's name; `rate` is requests a second."""

    url: str
    headers: list[list[str]]
    body: str
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came back, in milliseconds. `first_*` is the first text of an answer: the first token.

    `late_ms` is the most that the client itself was behind its schedule; times count from the actual send.
    """

    sent: int
    ok: int
    p50_ms: float | None
    p99_ms: float | None
    first_p50_ms: float | None
    first_p99_ms: float | None
    late_ms: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One finished request: whether it was a complete 200, and seconds to its end and to its first token."""

    ok: bool
    seconds: float
    first_seconds: float | None


class Connection(asyncio.Protocol):
    """One keep-alive connection; `ask` sends a request and waits for the end of its answer."""

    def __init__(self) -> None:
        self.closed = False
        self.waiter: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    async def ask(self, request: bytes) -> Answer:
        """Send `request`; a failed or overdue one gives an answer that is not ok."""
        self.parser = httptools.HttpResponseParser(self)
        self.first: float | None = None
        self.began = time.perf_counter()
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            return await asyncio.wait_for(self.waiter, DEADLINE_SECONDS)
        except TimeoutError:
            self.transport.abort()
            self.closed = True
            return Answer(False, DEADLINE_SECONDS, None)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if self.first is None and FIRST_TOKEN.search(body):
            self.first = time.perf_counter() - self.began

    def on_message_complete(self) -> None:
        self.closed = self.closed or not self.parser.should_keep_alive()
        self.finish(self.parser.get_status_code() == 200)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.finish(False)

    def finish(self, ok: bool) -> None:
        """Hand the answer to whoever waits."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(Answer(ok, time.perf_counter() - self.began, self.first))


class Client:
    """Sends one order's requests over a pool of connections that grows as far as it must."""

    def __init__(self, order: Order) -> None:
        parts = urlsplit(order.url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)
        body = order.body.encode()
        lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in order.headers]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
        before, _, after = head.partition("{run}")
        self.before, self.after = before.encode(), after.encode() + body
        self.named = bool(after)
        self.stem = f"open-{time.time_ns():x}-"
        self.count = 0
        self.idle: list[Connection] = []

    def request(self) -> bytes:
        """The next request's bytes; eight in a row share a run."""
        self.count += 1
        if not self.named:
            return self.before + self.after
        return self.before + f"{self.stem}{self.count // CALLS_PER_RUN}".encode() + self.after

    async def send(self) -> Answer:
        """One request on an idle connection, or on a new one."""
        while self.idle and self.idle[-1].closed:
            self.idle.pop()
        if self.idle:
            connection = self.idle.pop()
        else:
            loop = asyncio.get_running_loop()
            try:
                _, connection = await loop.create_connection(Connection, *self.address)
            except OSError:
                return Answer(False, 0.0, None)
        answer = await connection.ask(self.request())
        if not connection.closed:
            self.idle.append(connection)
        return answer


async def drive(order: Order) -> Report:
    """Warm up one by one, then keep to the schedule and wait for the last answer."""
    client = Client(order)
    await asyncio.gather(*(client.send() for _ in range(4)))
    for _ in range(WARM_UP):
        await client.send()
    gc.collect()
    gc.disable()
    loop = asyncio.get_running_loop()
    count = int(order.rate * order.seconds)
    begin, late = loop.time(), 0.0
    tasks: list[asyncio.Task[Answer]] = []
    for number in range(count):
        ahead = begin + number / order.rate - loop.time()
        if ahead > 0:
            await asyncio.sleep(ahead)
        late = max(late, -ahead)
        tasks.append(loop.create_task(client.send()))
    answers = await asyncio.gather(*tasks)
    good = [answer for answer in answers if answer.ok]
    ends = [answer.seconds for answer in good]
    firsts = [answer.first_seconds for answer in good if answer.first_seconds is not None]
    return Report(
        sent=len(answers),
        ok=len(good),
        p50_ms=quantile_ms(ends, 0.50),
        p99_ms=quantile_ms(ends, 0.99),
        first_p50_ms=quantile_ms(firsts, 0.50),
        first_p99_ms=quantile_ms(firsts, 0.99),
        late_ms=round(late * 1e3, 3),
    )


def quantile_ms(seconds: Sequence[float], share: float) -> float | None:
    """The value below which `share` of `seconds` lie, in milliseconds; None when there are none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 3)


if __name__ == "__main__":
    report = uvloop.run(drive(Order(**json.load(sys.stdin))))
    print(json.dumps(asdict(report)))
