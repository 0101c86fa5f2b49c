"""`trimtab load` against a real gateway over the simulated expert."""

import asyncio
import json
import signal
import sys

import pytest

from trimtab.simulation import LocalServer, expert_app

SETTINGS = """
[[endpoint]]
name = "simulated-expert"
url = "{url}/v1"
models = ["sim-small"]
[[model]]
name = "sim-small"
price = {{ input = 1.0, output = 2.0 }}
"""
STEP = {"run": "r", "deps": [], "gap": 0.0, "in": 200, "out": 20, "cls": "talk", "model": "sim-small"}


@pytest.fixture
def traces(tmp_path):
    steps = [STEP | {"step": at, "deps": deps} for at, deps in enumerate(([], [0], [0], [1, 2]))]
    path = tmp_path / "steps.jsonl"
    path.write_text("".join(json.dumps(step) + "\n" for step in steps))
    return path


def heed_interrupts():
    """A shell that runs the tests in the background lets its children ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def load(*arguments):
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "trimtab", "load", *map(str, arguments)]
    return await asyncio.create_subprocess_exec(
        *command, stdout=pipe, stderr=pipe, preexec_fn=heed_interrupts
    )


async def test_users_load_a_real_gateway_and_every_run_is_closed(serve, traces):
    async with LocalServer(expert_app()) as expert:
        served = await serve(SETTINGS.format(url=expert.url))
        process = await load(
            "--traces", traces, "--users", 3, "--url", f"{served.url}/v1", "--max-requests", 22, "--json"
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        report = json.loads(out)
        assert (report["calls"], report["calls_answered"], report["faults"]) == (22, 22, {})
        assert report["runs"]["done"] >= 4
        assert report["runs_left_open"] == report["calls_of_unknown_cost"] == 0
        await served.close()
    # Prices are nanodollars a token here: 1,000 in, 2,000 out.
    assert report["nanodollars"] == 1000 * report["input_tokens"] + 2000 * report["output_tokens"]
    assert 0.8 < report["sizes"] < 1.4


async def test_an_interrupted_load_tells_what_it_saw(serve, traces):
    app, asked = expert_app(), []

    async def counted(scope, receive, send):
        asked.append(scope["type"])
        await app(scope, receive, send)

    async with LocalServer(counted) as expert:
        served = await serve(SETTINGS.format(url=expert.url))
        process = await load("--traces", traces, "--users", 3, "--url", served.url, "--seconds", 60)
        while asked.count("http") < 12:
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, err.decode()
        assert b"Traceback" not in err
        assert b"interrupted after" in out
        await served.close()


async def test_a_dead_url_is_told_in_one_line(traces):
    process = await load("--traces", traces, "--users", 2, "--url", "http://127.0.0.1:9")
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"trimtab: --url: nothing answers at http://127.0.0.1:9")
    assert len(err.splitlines()) == 1
