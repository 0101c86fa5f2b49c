"""The client's context and transport, over a real socket."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from trimtab.client import async_transport, headers, run, step, tag, transport


@pytest.fixture
def echo():
    """A server that keeps the trimtab headers of each request."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append({k.lower(): v for k, v in self.headers.items() if k.lower().startswith("x-trimtab")})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_outside_a_run_nothing_is_said():
    assert headers() == {}


def test_steps_belong_to_the_run_around_them():
    with run("support", id="r-1", user="ada", priority=0, timeout_seconds=2.5), step("plan"):
        assert headers() == {
            "x-trimtab-run": "r-1",
            "x-trimtab-workflow": "support",
            "x-trimtab-step": "plan",
            "x-trimtab-user": "ada",
            "x-trimtab-priority": "0",
            "x-trimtab-timeout-seconds": "2.5",
        }
    assert headers() == {}


def test_a_step_alone_makes_a_run_of_its_own():
    with step("alone"):
        assert headers()["x-trimtab-step"] == "alone"
        assert headers()["x-trimtab-run"]


async def test_concurrent_runs_do_not_mix():
    async def inside(name):
        with run("w", id=name):
            await asyncio.sleep(0)
            return headers()["x-trimtab-run"]

    assert await asyncio.gather(*[inside(f"r{n}") for n in range(20)]) == [f"r{n}" for n in range(20)]


def test_the_transport_sends_the_headers(echo):
    url, seen = echo
    with httpx2.Client(transport=transport()) as client, run("w", id="r-2"), step("s"):
        client.get(url)
    assert seen == [{"x-trimtab-run": "r-2", "x-trimtab-workflow": "w", "x-trimtab-step": "s"}]


async def test_the_asynchronous_transport_sends_them_too(echo):
    url, seen = echo
    with run("w", id="r-3"):
        async with httpx2.AsyncClient(transport=async_transport()) as client:
            await client.get(url)
    assert seen[0]["x-trimtab-run"] == "r-3"


def test_an_event_hook_does_the_same(echo):
    url, seen = echo
    with httpx2.Client(event_hooks={"request": [tag]}) as client, run("w", id="r-4"):
        client.get(url)
    assert seen[0]["x-trimtab-run"] == "r-4"


def test_other_libraries_are_refused_by_name():
    with pytest.raises(ValueError, match="httpx2 or httpx"):
        transport(library="requests")
