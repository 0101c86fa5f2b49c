"""`trimtab simulate` as people meet it."""

import msgspec
import pytest
from typer.testing import CliRunner

from trimtab.cli import app
from trimtab.core.errors import ConfigError

CLUSTER = """
[[server]]
gpu = "A100"
gpus = 4

[workload]
sessions_a_second = 0.02
seconds = 100
"""


@pytest.fixture
def cluster(tmp_path):
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER)
    return path


def simulate(cluster, *more):
    arguments = [
        "simulate",
        "--cluster",
        str(cluster),
        "--traces",
        "synthetic:layered",
        "--seeds",
        "1",
        *more,
    ]
    return CliRunner().invoke(app, arguments)


def test_a_table_says_that_it_is_simulated_and_what_is_not_modelled(cluster):
    result = simulate(cluster, "--policy", "prefix_load,default", "--load", "1,2")
    assert result.exit_code == 0, result.output
    assert "simulated" in result.output
    assert "not modelled: preemption" in result.output
    assert result.output.count("prefix_load") == 2


def test_json_and_plots(cluster, tmp_path):
    result = simulate(cluster, "--policy", "graph", "--out", str(tmp_path / "out"), "--json")
    report = msgspec.json.decode(result.stdout)
    assert report["simulated"] is True
    assert report["rows"][0]["figures"]["p95_seconds"]["median"] > 0
    drawn = (tmp_path / "out" / "p95_seconds.svg").read_text()
    assert drawn.startswith("<svg")
    assert "simulated" in drawn


def test_without_a_rate_the_knee_is_found(cluster):
    cluster.write_text(CLUSTER.replace("sessions_a_second = 0.02\n", ""))
    result = simulate(cluster, "--policy", "prefix_load")
    assert "load 1 is the knee" in result.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--policy", "fastest"), "no scheduling policy"),
        (("--load", "none"), "multiples above 0"),
        (("--traces", "synthetic:star"), "synthetic:research"),
    ],
)
def test_what_cannot_be_is_named(cluster, more, said):
    result = simulate(cluster, *more)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
