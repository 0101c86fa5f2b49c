"""The npm client, which Agent Chat UI speaks, over a socket. `make test-npm` installs it; else this is
skipped."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from reception.test_runs import client

__all__ = ["client"]
FOLDER = Path(__file__).parents[1] / "npm"
has_client = shutil.which("node") and (FOLDER / "node_modules").exists()


@pytest.mark.skipif(not has_client, reason="`make test-npm` installs the npm client")
async def test_the_npm_client_streams_joins_answers_and_deletes(client):
    process = await asyncio.create_subprocess_exec(
        "node",
        "client.mjs",
        client.served.url,
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    told = dict(json.loads(line) for line in out.decode().splitlines())
    assert {"metadata", "values", "updates", "custom", "debug", "events"} <= set(told["events"])
    assert any(name.startswith("messages/") for name in told["events"])
    for fact in ("thread of the run", "joined", "joined from the start", "tuples", "history", "deleted"):
        assert told[fact] is True, fact
    assert told["interrupt"] == {"question": "may I?"}
    assert (told["mood"], told["next"], told["item"], told["found"]) == ("yes", [], {"a": 1}, 1)
    assert told["assistants"] == ["asking", "chat", "falling", "standing"]
