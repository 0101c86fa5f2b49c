"""Wrong files are told by file, line, key and remedy."""

import pytest

from simulation.placement.conftest import gpu, model
from trimtab.core.errors import ConfigError
from trimtab.simulation.placement import read_order


@pytest.mark.parametrize(
    ("models", "gpus", "told"),
    [
        (model(more="sped = 3"), gpu(), ("models.toml:9", "model[0].sped", "unknown key")),
        (model().replace("input_tokens = 1000", ""), gpu(), ("models.toml:2", "input_tokens", "missing")),
        (model(rate='"fast"'), gpu(), ("models.toml:6", "requests_per_second", "Expected float")),
        (model() + model(), gpu(), ("models.toml:10", "'m' stands here twice")),
        (model(more="max_context_tokens = 10"), gpu(), ("models.toml:9", "1,100 tokens")),
        (model(more="tensor_parallel = [3]"), gpu(), ("tensor_parallel[0]", "no power of two")),
        (model(more='precisions = ["fp4"]'), gpu(), ("precisions[0]", "fp4")),
        (model(), gpu(kind="h101"), ("gpus.toml:3", "'h101' is not known", "memory_gib")),
        (model(), gpu(usd=0), ("gpus.toml:5", "usd_per_hour")),
        (model(), gpu(usd="inf"), ("gpus.toml:5", "usd_per_hour")),
        (model(), gpu(more='mig_memory_gib = { "1g.99gb" = 4.0 }'), ("gpus.toml:6", "1g.10gb")),
        ("model = 3", gpu(), ("models.toml:1", "model")),
        ("[[model", gpu(), ("models.toml:1", "not TOML")),
    ],
)
def test_what_cannot_be_placed_is_named(order, models, gpus, told):
    with pytest.raises(ConfigError) as caught:
        order(models, gpus)
    assert all(each in str(caught.value) for each in told), str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_order(tmp_path / "models.toml", tmp_path / "gpus.toml")
