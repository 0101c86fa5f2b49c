"""`trimtab costs`."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from traces.made import call, entry, keep, outcome, paid
from trimtab.cli import app
from trimtab.core.errors import ConfigError
from trimtab.store import Database, migrate, url_of

runner = CliRunner()


@pytest.fixture
def config(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    database = Database(url_of("sqlite", data))
    migrate(database)
    good, bad = (
        call("c1", run="good", workflow="support", step="plan"),
        call("c2", run="bad", workflow="support"),
    )
    keep(
        database,
        good,
        paid(good, 1_500_000_000),
        outcome(0.7, run="good"),
        bad,
        paid(bad, 9),
        outcome(0, run="bad"),
    )
    keep(database, entry("e3", 3, workflow="[/x] sales", tenant="other", run="r3", certainty="unpriced"))
    database.close()
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[server]\ndata = "{data}"\n[workflow.support]\ncompleted_at = 0.5\n')
    return str(path)


def invoke(*arguments):
    return runner.invoke(app, ["costs", *arguments], catch_exceptions=False)


def test_costs_are_shown_exactly_and_whole(config):
    shown = invoke("-c", config, "--by", "workflow,step")
    assert shown.exit_code == 0
    assert "$1.500000000" in shown.stdout
    assert "$0.000000009" in shown.stdout
    assert "≥ $0.000000003" in shown.stdout
    assert "[/x] sales" in shown.stdout
    assert "≥ $1.500000012" in shown.stdout.splitlines()[-2]
    assert "price of a part is not known" in shown.stderr


def test_columns_that_say_nothing_are_left_out(config):
    shown = invoke("-c", config, "--tenant", "acme").stdout
    assert "cached" not in shown
    assert "upstream" not in shown


def test_costs_as_json_are_numbers_and_exact_text(config):
    told = json.loads(invoke("-c", config, "--by", "workflow,step", "--tenant", "acme", "--json").stdout)
    assert told["by"] == ["workflow", "step"]
    row = told["rows"][0]
    assert (row["workflow"], row["step"], row["nanodollars"], row["usd"]) == (
        "support", "plan", 1_500_000_000, "1.500000000",
    )  # fmt: skip
    assert told["total"]["nanodollars"] == 1_500_000_009


def test_costs_as_csv_have_a_line_each(config):
    rows = list(csv.DictReader(io.StringIO(invoke("-c", config, "--by", "run", "--csv").stdout)))
    assert [(row["run"], row["usd"]) for row in rows] == [
        ("good", "1.500000000"), ("bad", "0.000000009"), ("r3", "0.000000003"),
    ]  # fmt: skip


def test_a_completed_run_is_paid_for_with_those_that_failed(config):
    told = json.loads(invoke("-c", config, "--completed", "--json").stdout)
    assert (
        told["total"] | {"runs": 3, "known": 2, "completed": 1, "usd_per_completed": "1.500000009"}
        == told["total"]
    )
    shown = invoke("-c", config, "--completed", "--by", "workflow,agent").stdout
    assert "cost per completed run" in shown


def test_where_nothing_was_completed_no_cost_per_run_is_made_up(config):
    assert "none completed" in invoke("-c", config, "--completed", "--run", "bad").stdout


def test_times_narrow_the_report(config):
    assert json.loads(invoke("-c", config, "--since", "2025-10-10", "--json").stdout)["rows"] == []
    told = json.loads(invoke("-c", config, "--since", "2025-10-09", "--until", "2025-10-10", "--json").stdout)
    assert len(told["rows"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "modl"), "--by: 'modl' is no field; there are tenant, user, key"),
        (
            ("--by", "step", "--completed"),
            "--by: 'step' is no field; there are tenant, user, workflow, agent",
        ),
        (("--since", "7x"), "'7x' is no time: write a span"),
        (("--since", "1d", "--until", "2d"), "--since 1d is not before --until 2d"),
    ],
)
def test_mistakes_are_said_in_plain_words(config, arguments, message):
    with pytest.raises(ConfigError, match=message):
        invoke("-c", config, *arguments)


def test_without_fields_everything_is_one_line(config):
    shown = invoke("-c", config, "--by", "")
    assert "$1.500000012" in shown.stdout
