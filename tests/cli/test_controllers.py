"""`trimtab controllers`."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controllers.tiny import pack
from trimtab.app import open_database
from trimtab.app.seating import Address, Seating
from trimtab.cli import app
from trimtab.controllers import Registry, Report
from trimtab.core import SystemClock
from trimtab.core.errors import ConfigError, DataError, StoreUnavailable

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


def events(config, version):
    shown = json.loads(invoke(config, "show", f"support/step@{version}", "--json").stdout)
    return [(each["action"], each["by"], each["other"]) for each in shown["events"]]


def test_who_was_displaced_or_disabled_by_whom_stands_in_the_audit(config, registry):
    invoke(config, "enable", "support/step@1", "--by", "ada")
    invoke(config, "enable", "support/step@2", "--by", "bob")
    assert events(config, "1") == [("enabled", "ada", ""), ("displaced", "bob", "2")]
    assert events(config, "2") == [("enabled", "bob", "1")]
    assert "displaced by bob, 2 took its place" in invoke(config, "show", "support/step@1").stdout
    assert "in the place of 1" in invoke(config, "show", "support/step@2").stdout
    invoke(config, "shadow", "support/step@1", "--by", "cy")
    invoke(config, "disable", "support/step", "--by", "dee")
    assert events(config, "1")[-2:] == [("shadowed", "cy", ""), ("disabled", "dee", "")]
    assert events(config, "2")[-1] == ("disabled", "dee", "")


def test_what_comes_to_work_just_before_it_is_deleted_is_not_deleted(config, registry, monkeypatch):
    newest = Seating.newest

    def enabled_in_between(seating, address):
        monkeypatch.setattr(Seating, "newest", newest)
        invoke(config, "enable", "support/step@1")
        return newest(seating, address)

    monkeypatch.setattr(Seating, "newest", enabled_in_between)
    with pytest.raises(ConfigError, match="is at work"):
        invoke(config, "delete", "support/step@1", "--yes")
    assert states(config) == {"1": "enabled", "2": "disabled"}
    assert registry.open("support", "step", "1")


def test_who_enables_and_who_deletes_at_the_same_time_cannot_both_succeed(config, registry, tmp_path):
    address = Address("support", "step", "1")

    def attempt(work):
        begun.wait(10)
        try:
            work()
        except (ConfigError, DataError):
            return False
        return True

    with open_database(Path(config)) as (settings, database), ThreadPoolExecutor(2) as pool:
        seating = Seating(settings, database, SystemClock())
        for _ in range(8):
            begun = threading.Barrier(2)
            enabled, deleted = pool.map(
                attempt,
                [
                    lambda: seating.put_to_work(address, "enabled", "ada"),
                    lambda: seating.delete(address, "bob"),
                ],
            )
            assert enabled != deleted
            assert registry.folder("support", "step", "1").exists() == enabled
            seating.lay_off(address, "ada")
            if deleted:
                pack(registry, tmp_path / "made", RULES, version="1")


def test_a_deletion_that_cannot_be_written_down_leaves_the_version_where_it_was(
    config, registry, monkeypatch
):
    with open_database(Path(config)) as (settings, database):
        seating = Seating(settings, database, SystemClock())

        def away(work):
            with database.engine.connect() as connection:
                work(connection)
            raise StoreUnavailable("gone while committing")

        monkeypatch.setattr(database, "transact", away)
        with pytest.raises(StoreUnavailable):
            seating.delete(Address("support", "step", "1"), "ada")
    assert registry.open("support", "step", "1")
    assert states(config) == {"1": "disabled", "2": "disabled"}


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


def test_a_list_says_what_is_damaged_and_the_remedy(config, registry, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    invoke(config, "enable", "support/step@2")
    for version in "12":
        file = registry.folder("support", "step", version) / "rules.json"
        file.write_text(file.read_text().replace("W1", "W2"))
    listed = {each["version"]: each for each in json.loads(invoke(config, "list", "--json").stdout)}
    assert [listed[version]["state"] for version in "12"] == ["disabled", "enabled"]
    assert all("rules.json: is not what was packed" in each["problem"] for each in listed.values())
    assert listed["1"]["manifest"]["version"] == "1"
    said = invoke(config, "list").stdout
    assert said.count("rules.json: is not what was packed") == 2
    assert "enabled, damaged: " in said
    assert "learn it again" in said
    assert "damaged: " in invoke(config, "show", "support/step@1").stdout


def test_one_that_can_never_answer_under_these_settings_says_so(config, registry, tmp_path):
    pack(registry, tmp_path / "made", RULES, version="3", thresholds={"eager": 0.98})
    assert "never answers" not in invoke(config, "enable", "support/step@3").stderr
    assert "never answers" not in invoke(config, "show", "support/step@3").stdout
    with open(config, "a") as file:
        file.write("[workflow.support]\neager = false\n")
    for verb in ("shadow", "enable"):
        said = invoke(config, verb, "support/step@3").stderr
        assert "warning: with eager = false in the settings it has no threshold" in said
        assert "it has one for eager = true" in said
    assert "note: with eager = false" in invoke(config, "show", "support/step@3").stdout
    listed = {each["version"]: each for each in json.loads(invoke(config, "list", "--json").stdout)}
    assert "never answers" in listed["3"]["silence"]


def test_one_that_is_at_work_and_gone_is_listed_as_a_problem(config, registry):
    invoke(config, "enable", "support/step@1")
    registry.delete("support", "step", "1")
    listed = json.loads(invoke(config, "list", "--json").stdout)
    assert {each["version"]: bool(each["problem"]) for each in listed} == {"1": True, "2": False}
