"""`trimtab evaluate`."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.learning import lending
from tests.learning.taught import run_line, write_lines
from typer.testing import CliRunner

from trimtab.cli import app as trimtab
from trimtab.cli.evaluate import evaluate
from trimtab.controllers import Manifest, Registry
from trimtab.core.errors import ConfigError, DataError

pytest.importorskip("sklearn", reason="the extra [learn] is not installed")
runner = CliRunner()
app = typer.Typer()
app.command()(evaluate)


@pytest.fixture
def outcomes(tmp_path):
    lines = []
    for task in range(40):
        for model, cost, reward in (("big", 1.0, task % 5 > 0), ("small", 0.1, task % 2)):
            text = "hard one" if task % 2 == 0 else "easy one"
            row = {"task": str(task), "model": model, "cost_usd": cost, "reward": int(reward), "text": text}
            lines.append(json.dumps(row))
    path = tmp_path / "outcomes.jsonl"
    path.write_text("\n".join(lines))
    return str(path)


def invoke(*arguments):
    return runner.invoke(app, arguments, catch_exceptions=False)


def test_a_file_is_judged_and_reported(outcomes, tmp_path):
    shown = invoke("route,tfidf", "--on", outcomes, "--out", str(tmp_path / "report"))
    assert shown.exit_code == 0
    assert "TF-IDF + LR route, matching" in shown.stdout
    assert "Best single model: big" in shown.stdout
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "frontier.svg",
        "report.json",
        "report.md",
    ]


def test_the_report_comes_as_json_alone(outcomes):
    told = json.loads(invoke("threshold", "--on", outcomes, "--json").stdout)
    assert told["subject"] == "threshold"
    assert {line["name"] for line in told["lines"]} >= {"big", "small", "oracle", "random model"}


def test_unknown_names_are_told_with_those_there_are(outcomes, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="there are tfidf, route, threshold, cascade, all"):
        invoke("magic", "--on", outcomes)
    with pytest.raises(ConfigError, match="mcpmark, openhands_index, bfcl_v1, routellm, traces"):
        invoke("route", "--on", "nothing.jsonl")
    with pytest.raises(ConfigError, match="there are big, small"):
        invoke("route", "--on", outcomes, "--against", "huge")
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    with pytest.raises(DataError, match="TRIMTAB_DATA"):
        invoke("route", "--on", "mcpmark")


def test_a_file_that_was_cut_off_is_said_to_be(outcomes, tmp_path):
    whole = gzip.compress(Path(outcomes).read_bytes())
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz:\d+: the gzip file is cut off \(copy or download"):
        invoke("route", "--on", str(cut))


@pytest.fixture
def triage(tmp_path):
    """Settings of a house whose traces hold the example's runs, and a controller learned from them."""
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    runs = tmp_path / "runs.jsonl"
    script = Path(__file__).parents[2] / "examples" / "triage_runs.py"
    runs.write_bytes(subprocess.run([sys.executable, str(script)], capture_output=True, check=True).stdout)
    for arguments in (
        ("traces", "import", str(runs)),
        ("learn", "triage", "--kind", "classify", "--mode", "linear", "--promise", "0.9"),
    ):
        assert runner.invoke(trimtab, [*arguments, "-c", str(config)], catch_exceptions=False).exit_code == 0
    return str(config)


def test_a_text_controller_is_judged_on_a_file_and_on_the_traces(triage, tmp_path):
    told = json.loads(invoke("triage/classify", "--on", "traces", "-c", triage, "--json").stdout)
    assert "taught it or set its thresholds: their" in told["claims"][0]
    names = [row[0] for row in told["tables"][0]["rows"]]
    assert names[:2] == ["as it serves", "always answering: linear"]
    assert {"one label always", "random label", "TF-IDF + LR"} <= set(names)
    again = json.loads(
        invoke("triage/classify", "--on", str(tmp_path / "runs.jsonl"), "-c", triage, "--json").stdout
    )
    assert [table["rows"] for table in again["tables"][:-1]] == [
        table["rows"] for table in told["tables"][:-1]
    ]
    shown = invoke("triage/classify", "--on", "traces", "-c", triage).stdout
    assert "## What it answers" in shown


def message_of(turn):
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in turn.calls]
    told = {"role": turn.speaker, "content": turn.text}
    return (
        told
        | ({"tool_calls": calls} if calls else {})
        | ({"tool_call_id": turn.tool_call_id} if turn.tool_call_id else {})
    )


def test_a_step_controller_is_judged_on_the_traces_with_the_tools_of_the_settings(tmp_path):
    config = tmp_path / "trimtab.toml"
    named = ", ".join(f'"{name}"' for name in lending.READ_ONLY)
    config.write_text(
        f'[server]\ndata = "{tmp_path / "data"}"\n[workflow.desk.tools]\nread_only = [{named}]\n'
    )
    lending.trained().save(tmp_path)
    registry = Registry(tmp_path / "data" / "controllers")
    made = tmp_path / "made"
    made.mkdir()
    for name in ("step.json", "trees.npz"):
        (tmp_path / name).rename(made / name)
    registry.add(made, Manifest(kind="step", workflow="desk", version="1", created=0.0))
    tools = [
        {"type": "function", "function": {"name": each.name, "parameters": each.parameters}}
        for each in lending.TOOLS
    ]
    lines = [
        run_line(one.task, one.agent, [message_of(turn) for turn in one.turns], workflow="desk", trial=number)
        | {"tools": tools}
        for number, one in enumerate(lending.episode(number, seed=7) for number in range(8))
    ]
    file = write_lines(tmp_path / "runs.jsonl", lines)
    assert runner.invoke(trimtab, ["traces", "import", str(file), "-c", str(config)]).exit_code == 0
    told = json.loads(invoke("desk/step", "--on", "traces", "-c", str(config), "--json").stdout)
    assert told["runs"] == 8
    eager = next(row for row in told["tables"][0]["rows"] if row[0] == "eager")
    assert eager[2]["value"] > 0.2, "look-ups are made ahead"
    assert "Writing calls made: 0." in told["notes"]


def test_a_controller_or_data_that_are_not_there_are_said(triage):
    with pytest.raises(ConfigError, match="'triage/gate' is no controller here"):
        invoke("triage/gate", "--on", "traces", "-c", triage)
    with pytest.raises(ConfigError, match="no file of recorded runs or labelled rows"):
        invoke("triage/classify", "--on", "nowhere.jsonl", "-c", triage)
    with pytest.raises(DataError, match="traces: workflow: no runs of workflow 'triage'"):
        invoke("triage/classify", "--on", "traces", "--tenant", "nobody", "-c", triage)


def test_traces_without_runs_of_two_models_cannot_be_compared(tmp_path):
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    with pytest.raises(DataError, match="traces"):
        invoke("route", "--on", "traces", "-c", str(config))
