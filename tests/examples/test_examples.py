"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.app import open_house
from trimtab.app.stage import serving
from trimtab.config import load, load_text
from trimtab.simulation import LocalServer, expert_app
from trimtab.store import Selection
from trimtab.traces import cost_report

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = """
[server]
data = "{data}"
[[endpoint]]
name = "simulated"
url = "{url}/v1"
models = ["sim-small", "sim-large"]
price = {{ input = 1.0, output = 2.0 }}
[[model]]
name = "auto"
candidates = ["sim-small", "sim-large"]
policy = "mine"
[policy.mine]
kind = "own_policy:by_time"
"""


@pytest.mark.parametrize("model", ["sim-small", "auto"])
async def test_attribution_puts_two_steps_in_one_run(tmp_path, monkeypatch, model):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    async with LocalServer(expert_app()) as expert:
        text = SETTINGS.format(data=tmp_path, url=expert.url)
        async with open_house(load_text(text, "", {})) as house, serving(house) as url:
            process = await start(EXAMPLES / "attribution.py", url, model)
            out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            await house.writer.flush()
            report = cost_report(house.database, ("run", "step", "user"), Selection())
    run = out.decode().strip()
    assert sorted(row.fields for row in report.rows) == [(run, "greet", "ada"), (run, "thank", "ada")]


async def start(script, *arguments):
    import asyncio

    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )


def test_the_example_settings_load():
    assert load(EXAMPLES / "trimtab.toml", {}).settings.model[2].candidates == ("qwen3-8b", "gpt-4o")
