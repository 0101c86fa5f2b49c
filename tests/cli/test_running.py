"""`trimtab run`: a run's result, cost and steps; a run that failed goes on where it did."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trimtab as package
from gateway.served import cost, endpoint
from trimtab.core import usd_text


def test_a_run_that_failed_is_gone_on_with_by_its_id(hosted):
    failed = hosted("run", "support", "--input", '{"log": []}')
    assert failed.exit_code == 1
    assert "support failed: ValueError: this once" in failed.output
    (id,) = set(re.findall(r"run ([0-9a-z]{26})", failed.output))
    assert f"trimtab run --resume {id}" in failed.output
    done = hosted("run", "--resume", id, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["run"], told["state"], told["output"]) == (id, "done", {"log": ["first", "second"]})
    again = hosted("run", "--resume", id)
    assert again.exit_code == 0
    assert "support done" in again.output


def test_a_run_that_waits_is_answered_by_its_id(hosted):
    hosted.hosts("asking")
    asked = hosted("run", "support", "--input", '{"log": []}')
    assert asked.exit_code == 0
    assert '"refund": 20' in asked.stdout
    (id,) = set(re.findall(r"run ([0-9a-z]{26})", asked.output))
    assert f"trimtab run --resume {id} --answer JSON" in asked.output
    done = hosted("run", "--resume", id, "--answer", '"yes"', "--json")
    assert json.loads(done.stdout)["output"]["log"] == ["first", "yes"]
    again = hosted("run", "--resume", id, "--answer", '"no"')
    assert "waits for no answers" in str(again.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "name a workflow, or a run with --resume"),
        (("run", "support", "--resume", "r"), "name a workflow, or a run with --resume"),
        (("run", "--resume", "r", "--follow"), "only a new run is followed"),
        (("run", "other"), "no workflow 'other' is hosted here (hosted: support)"),
        (("run", "--resume", "r"), "there is no hosted run 'r'"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(hosted, words, said):
    refused = hosted(*words)
    assert refused.exit_code == 1
    assert said in str(refused.exception)


async def test_a_run_is_followed_step_by_step_on_stderr(hosted, tmp_path, upstream):
    hosted.hosts("everything")
    config = tmp_path / "trimtab.toml"
    settings = config.read_text()
    nowhere = settings[settings.index("[[endpoint]]") : settings.index("[workflow.support]")]
    config.write_text(settings.replace(nowhere, endpoint(upstream)))
    folders = (Path(package.__file__).parents[1], Path(__file__).parents[1])
    with (tmp_path / "out").open("wb") as stdout, (tmp_path / "err").open("wb") as stderr:
        words = (
            sys.executable,
            "-m",
            "trimtab",
            "run",
            "support",
            "--input",
            '{"log": []}',
            "--follow",
            "--json",
        )
        environ = os.environ | {"PYTHONPATH": ":".join(map(str, folders))}
        process = subprocess.Popen([*words, "-c", str(config)], stdout=stdout, stderr=stderr, env=environ)
    try:
        code = await asyncio.to_thread(process.wait, 60)
    finally:
        process.kill()
    out, err = ((tmp_path / name).read_text() for name in ("out", "err"))
    assert code == 0, err
    told = json.loads(out)
    assert told["state"] == "done"
    lines = err.splitlines()
    assert lines[0] == f"run {told['run']}"
    names = [line.split()[1] for line in lines if line.startswith("<")]
    row = ["langchain", "langchain_in_a_thread", "langchain_stream", "langchain_stream_in_a_thread"]
    assert names == [*row, "openai", "openai_in_a_thread", "outer/inner", "outer"]
    assert [line for line in lines if line.startswith(">")] == [
        f"> {name}" for name in [*row, "openai", "openai_in_a_thread", "outer", "outer/inner"]
    ]
    text = "The quick brown fox jumps over the lazy dog."
    assert [line for line in lines if text in line] == [f"  {name}: {text}" for name in row]
    ended = next(line for line in lines if line.startswith("< outer/inner"))
    assert re.search(r" \d\.\d\d s, ", ended)
    assert ended.endswith(f"${usd_text(cost(upstream.seen[-1].billed))}")
