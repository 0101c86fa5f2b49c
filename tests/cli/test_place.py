"""`trimtab place`, as people run it."""

import builtins
import json

import pytest
from typer.testing import CliRunner

from simulation.placement.conftest import gpu, model
from trimtab.cli import app
from trimtab.core.errors import ConfigError


@pytest.fixture
def placed(tmp_path):
    def run(models, gpus, *more):
        (tmp_path / "models.toml").write_text(models)
        (tmp_path / "gpus.toml").write_text(gpus)
        files = ["--models", str(tmp_path / "models.toml"), "--gpus", str(tmp_path / "gpus.toml")]
        return CliRunner().invoke(app, ["place", *files, *more])

    return run


def test_a_placement_is_shown_with_its_commands_and_the_baseline(placed):
    pytest.importorskip("ortools")
    done = placed(model("a", 8, 0.5) + model("b", 8, 0.5), gpu())
    assert done.exit_code == 0, done.output
    for told in (
        "no placement is cheaper",
        "first fit decreasing",
        "nvidia-smi mig",
        "vllm serve a",
        "not calibrated",
    ):
        assert told in done.output


def test_json_tells_the_same(placed):
    pytest.importorskip("ortools")
    told = json.loads(placed(model(), gpu(), "--json").stdout)
    assert told["feasible"] is True
    assert told["usd_per_hour"] == 2.5


def test_what_cannot_be_placed_exits_with_the_limits_in_the_way(placed):
    pytest.importorskip("ortools")
    done = placed(model("large", 70, 1.0), gpu())
    assert done.exit_code == 1
    assert "models.toml:2" in done.output
    assert "tensor_parallel" in done.output
    told = json.loads(placed(model("large", 70, 1.0), gpu(), "--json").stdout)
    assert (told["feasible"], told["lacks"][0]["subject"]) == (False, "large")


def test_without_or_tools_the_extra_is_named(placed, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.startswith("ortools"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    done = placed(model(), gpu())
    assert isinstance(done.exception, ConfigError)
    assert "pip install 'trimtab[place]'" in str(done.exception)
