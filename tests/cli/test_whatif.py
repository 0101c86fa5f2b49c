"""`trimtab whatif`."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from simulation.whatif.recorder import Recorder, toml
from trimtab.cli import app
from trimtab.core.errors import ConfigError, DataError, StoreUnavailable

runner = CliRunner()


@pytest.fixture
def stored(tmp_path):
    """Settings of a store with three calls of the large model."""
    recorder = Recorder(tmp_path / "data", toml())
    for number in range(3):
        recorder.call(number, run=f"r{number}", step="[/plan] a|b")
    recorder.outcome(1.0, run="r0")
    recorder.database.close()
    config = tmp_path / "trimtab.toml"
    config.write_text(f'{toml()}\n[server]\ndata = "{tmp_path / "data"}"\n')
    return config


@pytest.fixture
def new(tmp_path):
    file = tmp_path / "new.toml"
    file.write_text(toml("cheapest"))
    return file


def invoke(*arguments):
    return runner.invoke(app, ["whatif", *map(str, arguments)], catch_exceptions=False)


def test_moved_calls_and_costs_are_shown(stored, new):
    shown = invoke("--policy", new, "-c", stored)
    assert shown.exit_code == 0
    assert "3 calls" in shown.stdout
    assert "3 would have moved" in shown.stdout
    assert "$0.010500000" in shown.stdout
    assert "large at far" in shown.stdout
    assert "[/plan] a|b" in shown.stdout
    assert "completed would be 0 to 1" in shown.stdout
    assert "assumed:" in shown.stderr


def test_json_has_all(stored, new):
    report = json.loads(invoke("--policy", new, "-c", stored, "--json").stdout)
    assert report["calls"] == report["moved"] == 3
    assert report["total"]["recorded_nanodollars"] == 10_500_000
    assert report["total"]["new_nanodollars"]["likely"] == 420_000
    assert len(report["examples"]) == 2


def test_a_report_is_written_as_markdown(stored, new, tmp_path):
    out = tmp_path / "report.md"
    assert invoke("--policy", new, "-c", stored, "--out", out).exit_code == 0
    text = out.read_text()
    assert text.startswith("# What if: ")
    assert "| large at far | small at near |" in text
    assert "[/plan] a\\|b" in text
    with pytest.raises(ConfigError, match="cannot be written"):
        invoke("--policy", new, "-c", stored, "--out", tmp_path / "no" / "report.md")


def test_recorded_runs_of_a_file_are_replayed(tmp_path, new):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    reply = {"role": "assistant", "content": "b", "usage": usage, "cost_usd": 0.0035, "t": 2.0}
    line = {
        "agent": "large",
        "domain": "desk",
        "task": "t",
        "trial": 0,
        "reward": 1.0,
        "started_at": 1.76e9,
        "messages": [{"role": "user", "content": "a"}, reply],
    }
    file = tmp_path / "runs.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(line).encode() + b"\n"))
    same = json.loads(invoke("--policy", new, "--traces", file, "--json").stdout)
    assert (same["calls"], same["moved"]) == (1, 0)
    assert same["total"]["new_nanodollars"]["likely"] == same["total"]["recorded_nanodollars"] == 3_500_000
    to_small = new.read_text() + '\n[[rule]]\nwhen = "model == \'large\'"\nmodels = ["small"]\n'
    new.write_text(to_small)
    other = json.loads(invoke("--policy", new, "--traces", file, "--json").stdout)
    assert [move["after"] for move in other["moves"]] == ["small at near"]
    assert other["total"]["new_nanodollars"]["likely"] == 140_000


def test_a_damaged_file_is_named_with_its_line(tmp_path, new):
    file = tmp_path / "runs.jsonl"
    file.write_text("{}\n")
    with pytest.raises(DataError, match=r"runs\.jsonl:1"):
        invoke("--policy", new, "--traces", file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('default_policy = "cheepest"', r'new\.toml:1: default_policy: there is no policy "cheepest"'),
        ("default_policy = cheap", r"new\.toml:1: this is not TOML"),
        (
            toml(more='[[rule]]\nwhen = "nothing > 1"\n'),
            r"new\.toml:\d+: rule\[0\]\.when|new\.toml:\d+: rule",
        ),
        ("", r"new\.toml: endpoint: it has no endpoint"),
    ],
)
def test_a_bad_policy_file_is_told_with_file_line_and_key(stored, new, text, said):
    new.write_text(text)
    with pytest.raises(ConfigError, match=said):
        invoke("--policy", new, "-c", stored)


def test_a_policy_file_that_is_not_there_is_named(stored, tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        invoke("--policy", tmp_path / "none.toml", "-c", stored)


def test_no_calls_are_told_with_what_was_asked(stored, new, tmp_path):
    with pytest.raises(DataError, match="no recorded calls with this --since"):
        invoke("--policy", new, "-c", stored, "--since", "1m")
    empty = tmp_path / "empty.toml"
    empty.write_text(f'[server]\ndata = "{tmp_path / "empty"}"\n')
    with pytest.raises(DataError, match="there are no recorded calls"):
        invoke("--policy", new, "-c", empty)


def test_a_database_that_is_away_is_told(new, tmp_path):
    config = tmp_path / "away.toml"
    url = "postgresql://nobody@127.0.0.1:9/none"
    config.write_text(f'[server]\ndata = "{tmp_path / "d"}"\ndatabase = "{url}"\n')
    with pytest.raises(StoreUnavailable):
        invoke("--policy", new, "-c", config)
