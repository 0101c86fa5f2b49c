"""Fixtures for tests of the example workflows: their folder, their simulated models, their shop's file."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# At the end: no module of the examples takes another one's name.
sys.path.append(str(EXAMPLES))


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """The folder of one test's data: what the examples' shop changes stays in it."""
    monkeypatch.setenv("SHOP_FILE", str(tmp_path / "shop.sqlite"))
    return tmp_path


@pytest.fixture
def config(examples):
    """workflows.toml as a user would have it, with the simulated models served in a thread beside."""
    import simulated

    from trimtab.simulation import LocalServer

    ready, stop, url = threading.Event(), asyncio.Event(), []

    async def serve():
        async with LocalServer(simulated.models_app()) as server:
            url.append((server.url, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    path = examples / "trimtab.toml"
    path.write_text(simulated.settings_text(url[0][0], examples))
    yield path
    url[0][1].call_soon_threadsafe(stop.set)
    thread.join()
