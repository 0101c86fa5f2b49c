"""The main job, as a user runs it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from trimtab.app.policies import policies_of
from trimtab.config import load
from trimtab.core import Decision
from trimtab.routing import same

DATA = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[3] / "shared" / "data"))
RUNS = DATA / "tau2_traces" / "runs.jsonl.gz"
needs_data = pytest.mark.skipif(
    not RUNS.is_file(), reason=f"recorded runs are not at {RUNS} (set TRIMTAB_DATA)"
)


def trimtab(*arguments, cwd=None, timeout=120):
    command = [sys.executable, "-m", "trimtab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd, check=False)


def entries(database):
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM entry").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_the_demo_plays_two_tenants_and_accounts_for_every_run(tmp_path):
    done = trimtab("demo", "--runs", "60", "--no-learn", "--data", str(tmp_path / "d"), "--json")
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["runs"] == 60
    assert account["calls_failed"] == 0
    assert 50 < account["completed"] <= 60
    assert account["second_half"] == {"lesson": None, "comparison": None, "notice": ""}
    assert {line["value"] for line in account["costs"]["tenant"]} == {"acme", "globex"}
    by_step = sum(int(line["cost_usd"].replace(".", "")) for line in account["costs"]["step"])
    assert by_step == int(account["cost_usd"].replace(".", "")) > 0
    listed = trimtab("costs", "-c", str(tmp_path / "d" / "trimtab.toml"), "--by", "tenant", "--json")
    assert listed.returncode == 0, listed.stderr


def heed_interrupts():
    """A shell that runs the tests in the background lets its children ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_demo_keeps_what_it_did(tmp_path):
    command = [
        sys.executable,
        "-m",
        "trimtab",
        "demo",
        "--runs",
        "2000",
        "--data",
        str(tmp_path / "d"),
        "--json",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    deadline = time.monotonic() + 60
    while not entries(tmp_path / "d" / "trimtab.sqlite"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 1, 130), err
    assert "Traceback" not in err
    account = json.loads(out)
    assert account["calls"] > 0
    assert account["second_half"]["notice"] == "interrupted: there is no second half"


@needs_data
@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_replayed_runs_cost_what_was_recorded_to_the_nanodollar(tmp_path, how):
    agents = "claude-opus-4-6,claude-sonnet-4-5"
    done = trimtab("replay", str(RUNS), "--agents", agents, "--json", "--data", str(tmp_path / "d"), *how)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    costs = {agent["agent"]: agent["cost_usd"] for agent in account["agents"]}
    assert costs == {"claude-opus-4-6": "10.547140000", "claude-sonnet-4-5": "6.603399000"}
    assert account["altered_replies"] == account["calls_failed"] == 0


@needs_data
def test_agents_recorded_without_usage_cost_an_unknown_amount(tmp_path):
    done = trimtab(
        "replay", str(RUNS), "--agents", "gpt-oss-120b,qwen2.5-7b", "--json", "--data", str(tmp_path / "d")
    )
    assert done.returncode == 0, done.stderr
    assert [agent["cost_usd"] for agent in json.loads(done.stdout)["agents"]] == [None, None]


def test_a_file_that_is_not_there_is_named(tmp_path):
    done = trimtab("replay", str(tmp_path / "none.jsonl"))
    assert done.returncode == 1
    assert "none.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_agent_that_is_not_recorded_is_named(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("")
    done = trimtab("replay", str(path), "--agents", "nobody")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_every_decision_of_the_demo_can_be_replayed_to_the_same_plan(tmp_path):
    done = trimtab("demo", "--runs", "20", "--no-learn", "--data", str(tmp_path / "d"), "--json")
    assert done.returncode == 0, done.stderr
    policies = policies_of(load(tmp_path / "d" / "trimtab.toml", {}).settings)
    with closing(sqlite3.connect(tmp_path / "d" / "trimtab.sqlite")) as connection:
        rows = connection.execute("SELECT decision FROM call WHERE decision IS NOT NULL").fetchall()
    decisions = [msgspec.json.decode(row[0], type=Decision) for row in rows]
    assert len(decisions) > 60
    assert all(same(decision, policies) for decision in decisions)


def played(tmp_path, name, *arguments):
    """The account of a demo or replay kept under `name`, and the file its runs were exported to."""
    done = trimtab(*arguments, "--json", "--data", str(tmp_path / name))
    assert done.returncode == 0, done.stderr
    file = tmp_path / f"{name}.jsonl.gz"
    told = trimtab("traces", "export", "-c", str(tmp_path / name / "trimtab.toml"), "-o", str(file))
    assert told.returncode == 0, told.stderr
    return json.loads(done.stdout), file


def tokens(account):
    return [
        (line["calls"], line["input_tokens"], line["output_tokens"]) for line in account["costs"]["model"]
    ]


def test_the_demo_can_be_exported_and_replayed(tmp_path):
    demo, file = played(tmp_path, "demo", "demo", "--runs", "60", "--no-learn")
    again, _ = played(tmp_path, "again", "replay", str(file), "--mixed")
    assert again["altered_replies"] == again["calls_failed"] == 0
    assert again["notices"] == []
    assert [again[name] for name in ("runs", "completed", "calls")] == [
        demo[name] for name in ("runs", "completed", "calls")
    ]
    assert tokens(again) == tokens(demo)
    agent = again["agents"][0]
    assert (agent["cost_usd"], agent["cost_unknown"], agent["calls_without_price"]) == (
        None,
        "no price",
        demo["calls"],
    )
    shown = trimtab("replay", str(file), "--data", str(tmp_path / "shown"))
    assert "no price" in shown.stdout
    assert "$0.000000000" not in shown.stdout


@needs_data
def test_recorded_runs_cost_the_same_after_export_and_replay(tmp_path):
    agents = "claude-opus-4-6,claude-sonnet-4-5"
    first, file = played(tmp_path, "first", "replay", str(RUNS), "--agents", agents)
    again, second_file = played(tmp_path, "again", "replay", str(file), "--stream")
    costs = {agent["agent"]: agent["cost_usd"] for agent in again["agents"]}
    assert costs == {"claude-opus-4-6": "10.547140000", "claude-sonnet-4-5": "6.603399000"}
    assert (again["agents"], again["completed"]) == (first["agents"], first["completed"])
    assert tokens(again) == tokens(first)
    assert again["altered_replies"] == again["calls_failed"] == 0
    third, _ = played(tmp_path, "third", "replay", str(second_file), "--agents", "claude-opus-4-6")
    assert third["cost_usd"] == "10.547140000"
    assert third["altered_replies"] == 0


def test_runs_of_unknown_outcome_and_without_content_are_counted_apart(tmp_path):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "cached_tokens": 600, "reasoning_tokens": 30}
    reply = {"role": "assistant", "content": "Hi", "usage": usage, "t": 1.0}
    said = [{"role": "user", "content": "Hello", "t": 0.0}, reply]
    shared = {"agent": "claude-sonnet-4-5", "domain": "d", "trial": 0, "thread": 0}
    lines = [
        shared | {"task": "a", "run": "a", "reward": 1.0, "messages": said},
        shared | {"task": "b", "run": "b", "reward": None, "messages": said},
        shared | {"task": "c", "run": "c", "reward": None, "messages": [], "note": "not kept"},
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    account, exported = played(tmp_path, "d", "replay", str(file))
    assert (account["runs"], account["completed"], account["unknown"]) == (2, 1, 1)
    # 400 plain at $3, 600 cached at $0.30, 100 out at $15 a million; only the known run is in the ratio.
    assert (account["cost_usd"], account["cost_per_completed_usd"]) == ("0.005760000", "0.002880000")
    assert account["notices"] == ["runs of own.jsonl left out, for they have no call to play: 1"]
    again, _ = played(tmp_path, "e", "replay", str(exported))
    assert (again["cost_usd"], again["completed"], again["unknown"]) == ("0.005760000", 1, 1)
