"""`trimtab learn`: from what a gateway recorded to a controller that answers in the model's place."""

import asyncio
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.learning.taught import WORDS, asked, rows_file, run_line, texts, write_lines
from typer.testing import CliRunner

from gateway.served import ask, endpoint
from trimtab.cli import app
from trimtab.core.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
runner = CliRunner()
SETTINGS = """
[workflow.triage]
latency_milliseconds = 5000
[workflow.triage.classify]
steps = ["classify"]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    return str(path)


def invoke(config, *arguments):
    return runner.invoke(app, [*arguments, "-c", config], catch_exceptions=False)


def learn(config, *arguments):
    return invoke(config, "learn", "triage", *arguments)


def named(run, task, step="classify"):
    told = {"workflow": "triage", "run": run, "task": task, "step": step}
    return {f"x-trimtab-{name}": value for name, value in told.items()}


async def says_the_label(talk):
    from gateway.upstream import Says

    text = talk.seen.json["messages"][-1]["content"]
    await Says(text=next(word for word in WORDS if word in text))(talk)


async def recorded(served, upstream):
    """Runs of one call, each with its outcome, as a gateway records them."""
    upstream.always = says_the_label
    for number, (text, _, task) in enumerate(texts()):
        await served.post(ask(text=text), headers=named(f"r{number}", task))
        await served.post({"reward": 1}, f"/v1/runs/r{number}/outcome")
    await served.at_rest()
    await served.house.writer.flush()


async def test_what_was_recorded_is_learned_enabled_and_answered_with_zero_tokens(serve, upstream, tmp_path):
    served = await serve(endpoint(upstream) + SETTINGS)
    await recorded(served, upstream)
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[server]\ndata = "{tmp_path / "house"}"\n{SETTINGS}')
    options = ("--kind", "classify", "--mode", "linear", "--promise", "0.9")
    result = await asyncio.to_thread(learn, str(config), *options)
    assert "passed" in result.stdout.splitlines()
    assert "# Data card: triage/classify" in result.stdout
    enabled = await asyncio.to_thread(invoke, str(config), "controllers", "enable", "triage/classify")
    assert "is enabled" in enabled.stdout
    await served.house.roster.load()
    asked = len(upstream.seen)
    answer = await served.post(ask(text="my lost song, please"), headers=named("new", "new"))
    assert answer.status == 200
    assert len(upstream.seen) == asked
    assert answer.json["choices"][0]["message"]["content"] == "song"
    assert answer.json["usage"]["total_tokens"] == 0
    assert answer.headers["x-trimtab-answered-by"].startswith("triage/classify@")
    assert answer.headers["x-trimtab-cost-nanodollars"] == "0"
    await served.post(ask(text="zzz qqq"), headers=named("other", "other", "chat"))
    assert len(upstream.seen) == asked + 1, "what is of another step goes to the model"


def test_one_command_for_several_kinds_of_rows_and_json(config, tmp_path):
    file = str(rows_file(tmp_path))
    result = learn(
        config, "--kind", "classify,gate", "--from", file, "--mode", "linear", "--promise", "0.9", "--json"
    )
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["controller"].startswith("triage/classify@")
    assert second["controller"].startswith("triage/gate@")
    assert first["report"]["passed"]
    again = learn(config, "--kind", "classify", "--from", file, "--mode", "linear", "--promise", "0.9")
    assert "nothing is new, it stands in" in again.stdout
    listed = json.loads(invoke(config, "controllers", "list", "--json").stdout)
    assert [each["kind"] for each in listed] == ["classify", "gate"]


def test_a_stage_alone_says_where_its_product_lies(config, tmp_path):
    file = str(rows_file(tmp_path))
    shown = learn(config, "--kind", "classify", "--from", file, "--stage", "curate").stdout
    assert "curate is done:" in shown
    assert (tmp_path / "data" / "learning" / "triage" / "classify" / "curate" / "data_card.md").is_file()
    assert not json.loads(invoke(config, "controllers", "list", "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "dance"), "--kind: 'dance' is none; there are step, route"),
        (("--kind", ","), "--kind: name one of"),
        (("--kind", "classify", "--stage", "rest"), "--stage: 'rest' is none; there are curate, distil"),
        (("--kind", "classify", "--mode", "huge"), "--mode"),
        (
            ("--kind", "classify", "--variants", "int2"),
            "--variants: 'int2' is none; there are int8, int8-mixed",
        ),
        (("--kind", "classify", "--variants", ","), "--variants: name one of int8"),
        (
            ("--kind", "classify", "--tenant", "acme", "--all-tenants"),
            "--tenant: names one tenant; leave out --all-tenants",
        ),
        (
            ("--kind", "classify", "--split", "by-row"),
            "--split: 'by-row' is none; there are by-task, by-user",
        ),
    ],
)
def test_an_option_that_is_none_is_told_with_those_there_are(config, arguments, said):
    with pytest.raises(ConfigError, match=said):
        learn(config, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "classify"), "traces: workflow: no runs of workflow 'triage'"),
        (("--kind", "classify", "--tenant", "acme"), "no runs of workflow 'triage' of tenant acme"),
        (("--kind", "classify", "--from", "nowhere.jsonl"), r"nowhere\.jsonl: no such file \(check"),
    ],
)
def test_data_that_is_not_there_is_named(config, arguments, said):
    with pytest.raises(DataError, match=said):
        learn(config, *arguments)


def test_traces_of_several_tenants_teach_only_the_one_that_is_named(config, tmp_path):
    for tenant, begin in (("acme", "hello"), ("beta", "well")):
        file = tmp_path / f"{tenant}.jsonl"
        lines = [
            run_line(f"{begin} {task}", "big", asked(f"{begin} {text}", label), trial=number)
            for number, (text, label, task) in enumerate(texts())
        ]
        write_lines(file, lines)
        assert invoke(config, "traces", "import", str(file), "--tenant", tenant).exit_code == 0
    options = ("--kind", "classify", "--mode", "linear", "--promise", "0.9", "--stage", "curate", "--json")
    with pytest.raises(DataError, match="several tenants: 'acme', 'beta' .*--tenant, or say --all-tenants"):
        learn(config, *options)
    one, both = (
        json.loads(learn(config, *options, *more).stdout)["card"]
        for more in (("--tenant", "acme"), ("--all-tenants",))
    )
    assert both["raw"] == 2 * one["raw"]
    with pytest.raises(ConfigError, match="--tenant: is for traces"):
        learn(config, *options, "--tenant", "acme", "--from", str(rows_file(tmp_path)))


def test_a_missing_extra_is_named_with_its_remedy(config, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(ConfigError, match=r"pip install 'trimtab\[learn\]'"):
        learn(config, "--kind", "classify", "--from", str(rows_file(tmp_path)), "--mode", "linear")


def test_the_tutorial_runs_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = (ROOT / "docs" / "controllers.md").read_text().split("## Tutorial")[1].split("```")[1]
    first, *commands = block.strip().splitlines()
    assert first == "python examples/triage_runs.py > runs.jsonl"
    written = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "triage_runs.py")], capture_output=True, check=True
    ).stdout
    (tmp_path / "runs.jsonl").write_bytes(written)
    told = ""
    for command in commands:
        name, *arguments = shlex.split(command)
        assert name == "trimtab"
        result = runner.invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        told += result.stdout
    assert "answered: 0.8667\nprecision: 1\n" in told
    assert "floor: one label always: 0.3333" in told
    assert "passed" in told.splitlines()
    assert "is enabled" in told
