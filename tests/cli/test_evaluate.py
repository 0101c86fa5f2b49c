"""`trimtab evaluate`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from trimtab.cli.evaluate import evaluate
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


def test_traces_without_runs_of_two_models_cannot_be_compared(tmp_path):
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    with pytest.raises(DataError, match="traces"):
        invoke("route", "--on", "traces", "-c", str(config))
