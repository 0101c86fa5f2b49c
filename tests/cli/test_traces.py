"""`trimtab traces`."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from traces.made import START, attempt, call, chat_bytes, entry, keep, outcome, paid, reply_bytes, tool_call
from trimtab.cli import app
from trimtab.core import Decision, Plan, PlannedAttempt
from trimtab.core.errors import ConfigError, NotFound
from trimtab.store import Database, migrate, url_of

runner = CliRunner()


@pytest.fixture
def config(tmp_path):
    """A house with a run of two calls, one of them through another gateway, and one without content."""
    data = tmp_path / "data"
    data.mkdir()
    database = Database(url_of("sqlite", data))
    migrate(database)
    asked = call("c1", workflow="w", step="plan")
    plan = Plan((PlannedAttempt("near", "m"), PlannedAttempt("far", "m")))
    decision = Decision("cheapest", asked.call, (), 0.0, plan, "night", ("1 of 2 offers fits",))
    content = {
        "request": chat_bytes([{"role": "user", "content": "what [red]weather[/blue]?\x1b[2J"}]),
        "reply": reply_bytes("sunny", [tool_call("t", "look", '{"in":"Bern"}')]),
    }
    tried = attempt("a1", outcome="failed", error="no answer"), attempt("a2", nanodollars=12)
    first = call("c1", workflow="w", step="plan", decision=decision, attempts=tried, user="ann", **content)
    inner = call("c2", at=0.1, step="plan", parent="c1")
    keep(database, first, paid(first, 12), inner, paid(inner, 30), entry("t", 5, kind="tool", model="search"))
    keep(database, outcome(1.0), call("c3", run="shared"), call("c4", run="shared", tenant="other"))
    database.close()
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[server]\ndata = "{data}"\n')
    return str(path)


def invoke(config, command, *arguments, **more):
    return runner.invoke(app, ["traces", command, "-c", config, *arguments], catch_exceptions=False, **more)


def test_runs_are_listed_with_status_cost_and_reward(config):
    shown = invoke(config, "list").stdout
    line = next(line for line in shown.splitlines() if "│ r1 " in line)
    for word in ("acme", "ann", "$0.000000047", "completed", "2025-10-09 08:53:20"):
        assert word in line
    listed = json.loads(invoke(config, "list", "--json", "--status", "completed").stdout)
    assert [(run["id"], run["usd"], run["reward"]) for run in listed] == [("r1", "0.000000047", 1.0)]
    assert len(json.loads(invoke(config, "list", "--json", "--limit", "2").stdout)) == 2
    assert json.loads(invoke(config, "list", "--json", "--status", "not-completed").stdout) == []


def test_a_run_is_shown_with_its_steps_calls_attempts_and_decisions(config):
    shown = invoke(config, "show", "r1").stdout
    for words in (
        "outcome completed, reward 1",
        "cost $0.000000047",
        "step plan",
        "policy cheapest, rule night, of 0 offers: m@near, then m@far (1 of 2 offers fits)",
        "attempt failed: m@near, 0.500 s, 100 in 10 out, $0.000000000, no answer",
        "tool search: $0.000000005 exact",
    ):
        assert words in shown
    assert shown.index("call c1:") < shown.index("call c2:")
    assert "weather" not in shown


def test_what_was_said_is_shown_when_asked_for_and_cannot_command_the_terminal(config):
    shown = invoke(config, "show", "r1", "--content").stdout
    assert "what [red]weather[/blue]?" in shown
    assert "sunny" in shown
    assert 'look {"in":"Bern"}' in shown
    assert "\x1b" not in shown


def test_a_run_as_json_is_the_whole_tree(config):
    told = json.loads(invoke(config, "show", "r1", "--json", "--content").stdout)
    step = told["steps"][0]
    assert (told["usd"], step["name"], step["usd"]) == ("0.000000047", "plan", "0.000000042")
    made = step["calls"][0]
    assert made["decision"]["chosen"] == ["m@near", "m@far"]
    assert [each["outcome"] for each in made["attempts"]] == ["failed", "answered"]
    assert [each["id"] for each in made["nested"]] == ["c2"]
    assert json.loads(made["request"])["model"] == "m"
    assert "request" not in json.loads(invoke(config, "show", "r1", "--json").stdout)["steps"][0]["calls"][0]


def test_a_run_of_several_tenants_wants_a_tenant(config):
    with pytest.raises(NotFound, match=r"several tenants have a run 'shared' \(acme, other\)"):
        invoke(config, "show", "shared")
    assert invoke(config, "show", "shared", "--tenant", "other").exit_code == 0
    with pytest.raises(NotFound, match="no run 'nix'"):
        invoke(config, "show", "nix")


def test_runs_go_out_and_come_in_again_elsewhere(config, tmp_path):
    out = tmp_path / "out.jsonl.gz"
    told = invoke(config, "export", "-o", str(out))
    assert told.stderr == f"wrote 3 lines to {out}\n"
    other = tmp_path / "other.toml"
    other.write_text(f'[server]\ndata = "{tmp_path / "elsewhere"}"\n')
    report = invoke(str(other), "import", str(out))
    assert (report.exit_code, report.stdout) == (
        0, "3 lines: 3 new runs with 1 calls and 3 entries; 0 were here before; 0 unreadable\n",
    )  # fmt: skip
    again = invoke(str(other), "import", str(out))
    assert "0 new runs" in again.stdout
    assert invoke(str(other), "export").stdout_bytes == gzip.decompress(out.read_bytes())


def test_an_export_goes_to_standard_output_and_can_be_one_run(config):
    lines = invoke(config, "export", "--run", "r1").stdout.splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["r1"]
    (line,) = invoke(config, "export", "--run", "r1", "--format", "otel").stdout.splitlines()
    assert json.loads(line)["resourceSpans"]


def test_what_cannot_be_exported_is_said_in_plain_words(config):
    with pytest.raises(ConfigError, match="--format: 'xml' is none; there are openai, otel"):
        invoke(config, "export", "--format", "xml")
    with pytest.raises(NotFound, match="no run 'nix'"):
        invoke(config, "export", "--run", "nix")
    with pytest.raises(ConfigError, match="--status: expected completed"):
        invoke(config, "list", "--status", "done")


def test_lines_that_cannot_be_read_are_reported_at_the_end_with_exit_code_1(config, tmp_path):
    good = {"agent": "a", "domain": "d", "task": "t", "trial": 0, "reward": None, "messages": []}
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(["{", json.dumps(good), *["[]"] * 25]))
    report = invoke(config, "import", str(path))
    assert report.exit_code == 1
    assert "27 lines: 1 new runs" in report.stdout
    assert f"trimtab: {path}:1: not JSON" in report.stderr
    assert "and 6 more" in report.stderr


def test_old_traces_are_deleted_after_asking(config):
    assert invoke(config, "prune", "--before", "2025-10-10", input="n\n").exit_code == 1
    assert len(json.loads(invoke(config, "list", "--json").stdout)) == 3
    told = invoke(config, "prune", "--before", "2025-10-10", "--yes").stdout
    assert told == "deleted 4 calls and 3 runs; their ledger entries stay\n"
    assert json.loads(invoke(config, "list", "--json").stdout) == []
    costs = runner.invoke(app, ["costs", "-c", config, "--json"], catch_exceptions=False)
    assert json.loads(costs.stdout)["total"]["nanodollars"] == 47


def test_without_a_time_nothing_is_deleted(config):
    with pytest.raises(ConfigError, match="--before: .*retention_days"):
        invoke(config, "prune", "--yes")


def test_the_settings_say_how_long_traces_are_kept(config, tmp_path):
    kept = tmp_path / "kept.toml"
    kept.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n[traces]\nretention_days = 1\n')
    assert "deleted 4 calls" in invoke(str(kept), "prune", "--yes").stdout
    assert START < 1_770_000_000
