"""`trimtab run`: a run's result, cost and steps; a run that failed goes on where it did."""

import json
import re

import pytest
from typer.testing import CliRunner

from trimtab.cli import app

SETTINGS = """
[server]
data = "{data}"
[[endpoint]]
name = "nowhere"
url = "http://127.0.0.1:9/v1"
models = ["gpt-small"]
[workflow.support]
graph = "workflows.own_graphs:failing"
"""


@pytest.fixture
def trimtab(tmp_path, monkeypatch):
    monkeypatch.setenv("MARKS", str(tmp_path))
    config = tmp_path / "trimtab.toml"
    config.write_text(SETTINGS.format(data=tmp_path))
    return lambda *words: CliRunner().invoke(app, [*words, "-c", str(config)])


def test_a_run_that_failed_is_gone_on_with_by_its_id(trimtab):
    failed = trimtab("run", "support", "--input", '{"log": []}')
    assert failed.exit_code == 1
    assert "support failed: ValueError: this once" in failed.output
    (id,) = set(re.findall(r"run ([0-9a-z]{26})", failed.output))
    assert f"trimtab run --resume {id}" in failed.output
    done = trimtab("run", "--resume", id, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["run"], told["state"], told["output"]) == (id, "done", {"log": ["first", "second"]})
    again = trimtab("run", "--resume", id)
    assert again.exit_code == 0
    assert "support done" in again.output


def test_a_run_that_waits_is_answered_by_its_id(trimtab, tmp_path):
    config = tmp_path / "trimtab.toml"
    config.write_text(config.read_text().replace("own_graphs:failing", "own_graphs:asking"))
    asked = trimtab("run", "support", "--input", '{"log": []}')
    assert asked.exit_code == 0
    assert '"refund": 20' in asked.stdout
    (id,) = set(re.findall(r"run ([0-9a-z]{26})", asked.output))
    assert f"trimtab run --resume {id} --answer JSON" in asked.output
    done = trimtab("run", "--resume", id, "--answer", '"yes"', "--json")
    assert json.loads(done.stdout)["output"]["log"] == ["first", "yes"]
    again = trimtab("run", "--resume", id, "--answer", '"no"')
    assert "waits for no answers" in str(again.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "name a workflow, or a run with --resume"),
        (("run", "support", "--resume", "r"), "name a workflow, or a run with --resume"),
        (("run", "other"), "no workflow 'other' is hosted here (hosted: support)"),
        (("run", "--resume", "r"), "there is no hosted run 'r'"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(trimtab, words, said):
    refused = trimtab(*words)
    assert refused.exit_code == 1
    assert said in str(refused.exception)
