"""`trimtab controllers`."""

import json

import pytest
from typer.testing import CliRunner

from controllers.tiny import pack
from trimtab.cli import app
from trimtab.controllers import Registry, Report
from trimtab.core.errors import ConfigError, DataError

runner = CliRunner()
RULES = [{"when": "order", "calls": [["get_order", {"id": "W1"}]]}]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "trimtab.toml"
    path.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    return str(path)


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "data" / "controllers")
    for version in ("1", "2"):
        pack(registry, tmp_path / "made", RULES, version=version)
    return registry


def invoke(config, *arguments):
    return runner.invoke(app, ["controllers", *arguments, "-c", config], catch_exceptions=False)


def states(config):
    listed = json.loads(invoke(config, "list", "--json").stdout)
    return {each["version"]: each["state"] for each in listed}


def test_one_version_serves_and_others_look_on(config, registry):
    assert states(config) == {"1": "disabled", "2": "disabled"}
    assert "support/step@2 is enabled" in invoke(config, "enable", "support/step").stdout
    invoke(config, "shadow", "support/step@1")
    assert states(config) == {"1": "shadow", "2": "enabled"}
    invoke(config, "enable", "support/step@1")
    assert states(config) == {"1": "enabled", "2": "disabled"}
    invoke(config, "disable", "support/step")
    assert states(config) == {"1": "disabled", "2": "disabled"}


@pytest.mark.parametrize("report", [None, Report(False, "d1", misses=("precision 0.91 of 0.98",))])
def test_enabling_needs_a_passed_report_or_force_which_is_recorded(config, registry, tmp_path, report):
    pack(registry, tmp_path / "made", RULES, version="3", report=report)
    with pytest.raises(ConfigError, match="--force"):
        invoke(config, "enable", "support/step@3")
    invoke(config, "shadow", "support/step@3")
    invoke(config, "enable", "support/step@3", "--force", "--by", "ada")
    shown = json.loads(invoke(config, "show", "support/step@3", "--json").stdout)
    forced = shown["events"][-1]
    assert (forced["action"], forced["by"], forced["forced"]) == ("enabled", "ada", True)


def test_an_enabled_one_says_which_report_it_rests_on(config, registry):
    invoke(config, "enable", "support/step@1", "--by", "ada")
    (event,) = json.loads(invoke(config, "show", "support/step@1", "--json").stdout)["events"]
    assert (event["report"], event["forced"]) == ("abc123", False)
    shown = invoke(config, "show", "support/step@1").stdout
    assert "enabled by ada, report abc123" in shown
    assert "# support/step@1" in shown


def test_what_is_at_work_is_not_deleted(config, registry):
    invoke(config, "shadow", "support/step@1")
    with pytest.raises(ConfigError, match="is at work"):
        invoke(config, "delete", "support/step@1", "--yes")
    invoke(config, "disable", "support/step@1")
    invoke(config, "delete", "support/step@1", "--yes")
    assert states(config) == {"2": "disabled"}


@pytest.mark.parametrize("name", ["support/step@..", "support/step", "support/step@9", "nobody/step@1"])
def test_nothing_else_is_deleted(config, registry, name):
    with pytest.raises(ConfigError):
        invoke(config, "delete", name, "--yes")
    assert len(states(config)) == 2


@pytest.mark.parametrize("name", ["support", "support/dance", "/step", "step@1"])
def test_a_name_that_is_none_is_explained(config, registry, name):
    with pytest.raises(ConfigError, match="WORKFLOW/KIND"):
        invoke(config, "enable", name)


def test_a_broken_one_is_listed_shown_and_not_enabled(config, registry):
    (registry.folder("support", "step", "1") / "rules.json").write_text("[]")
    shown = json.loads(invoke(config, "show", "support/step@1", "--json").stdout)
    assert "rules.json" in shown["problem"]
    with pytest.raises(DataError, match=r"rules\.json"):
        invoke(config, "enable", "support/step@1")
    assert "support/step" in invoke(config, "list").stdout


def test_one_that_is_at_work_and_gone_is_listed_as_a_problem(config, registry):
    invoke(config, "enable", "support/step@1")
    registry.delete("support", "step", "1")
    listed = json.loads(invoke(config, "list", "--json").stdout)
    assert {each["version"]: bool(each["problem"]) for each in listed} == {"1": True, "2": False}
