"""`trimtab replay --verify-decisions`: the same inputs, the same answers."""

import json

import pytest
from typer.testing import CliRunner

from controllers.tiny import tiny_loaders
from dispatch.test_decide import HEADERS, RULES, SETTINGS, ask, staffed  # noqa: F401
from trimtab.app.recheck import Rechecker
from trimtab.cli import app
from trimtab.config import ServerSettings, Settings
from trimtab.controllers import Registry
from trimtab.core.errors import DataError

runner = CliRunner()


@pytest.fixture
async def recorded(staffed, tmp_path, upstream, monkeypatch):  # noqa: F811
    """A store with decisions in it, closed; its settings file."""
    served = await staffed()
    for text in ("my order?", "both", "cancel it", "else", "break"):
        await served.post(ask(text), headers=HEADERS | {"x-trimtab-run": text, "x-trimtab-agent": "ada"})
    await served.at_rest()
    folder = served.house.settings.server.data
    await served.close()
    config = tmp_path / "trimtab.toml"
    config.write_text(f'[server]\ndata = "{folder}"\n{SETTINGS}')
    monkeypatch.setattr("trimtab.app.recheck.LOADERS", tiny_loaders())
    return config


def invoke(config, *arguments):
    done = runner.invoke(app, ["replay", *arguments, "--verify-decisions", "--json", "-c", str(config)])
    return done.exit_code, json.loads(done.stdout)


def alter(config):
    """Nudge a confidence in the last bit."""
    folder = next((config.parent / "house" / "controllers").glob("*/step"))
    rules = json.loads((folder / "1" / "rules.json").read_text())
    rules[1]["confidence"] = 0.9950000000000001
    registry = Registry(config.parent / "house" / "controllers")
    manifest = registry.open("support", "step", "1").manifest
    registry.delete("support", "step", "1")
    made = config.parent / "altered"
    made.mkdir()
    (made / "rules.json").write_text(json.dumps(rules))
    registry.add(made, manifest)


async def test_stored_decisions_come_out_the_same(recorded):
    code, found = invoke(recorded)
    assert (code, found["same"], found["differ"]) == (0, 4, 0)
    assert list(found["unchecked"]) == [
        "it was late, failed or could not read the call, so nothing was decided"
    ]


async def test_exported_decisions_come_out_the_same(recorded, tmp_path):
    file = tmp_path / "out.jsonl.gz"
    assert runner.invoke(app, ["traces", "export", "-o", str(file), "-c", str(recorded)]).exit_code == 0
    code, found = invoke(recorded, str(file))
    assert (code, found["same"], found["differ"]) == (0, 4, 0)


async def test_a_difference_in_the_last_bit_is_reported(recorded):
    alter(recorded)
    code, found = invoke(recorded)
    assert (code, found["differ"]) == (1, 1)
    assert found["differences"][0]["recorded"] == "get_order at 0.995"
    assert found["differences"][0]["now"] == "get_order at 0.9950000000000001"


async def test_other_settings_are_other_inputs(recorded):
    recorded.write_text(recorded.read_text().replace('"get_user"]', '"get_user", "more"]'))
    assert invoke(recorded)[1]["same"] == 4
    recorded.write_text(recorded.read_text().replace('"get_order", ', ""))
    _, found = invoke(recorded)
    assert (found["same"], found["differ"]) == (0, 0)
    assert any("settings changed" in reason for reason in found["unchecked"])


async def test_a_version_that_is_gone_is_said(recorded):
    Registry(recorded.parent / "house" / "controllers").delete("support", "step", "1")
    assert any("cannot be loaded" in reason for reason in invoke(recorded)[1]["unchecked"])


def test_a_recheck_that_breaks_off_leaves_no_thread(tmp_path):
    def recorded():
        raise DataError("cut short", file="out.jsonl")
        yield

    rechecker = Rechecker(Settings(server=ServerSettings(data=str(tmp_path))))
    with pytest.raises(DataError, match="cut short"):
        rechecker.check(recorded())
    with pytest.raises(RuntimeError, match="shutdown"):
        rechecker._desk.thread.submit(print)
