"""Files to place."""

import pytest

MODEL = """
[[model]]
name = "{name}"
parameters_billion = {size}
kv_bytes_per_token = 131072
requests_per_second = {rate}
input_tokens = 1000
output_tokens = 100
"""
GPU = """
[[gpu]]
kind = "{kind}"
count = {count}
usd_per_hour = {usd}
"""


def model(name="m", size=8, rate=1.0, more=""):
    return MODEL.format(name=name, size=size, rate=rate) + more


def gpu(kind="h100-80", count=4, usd=2.5, more=""):
    return GPU.format(kind=kind, count=count, usd=usd) + more


@pytest.fixture
def order(tmp_path):
    """Writes both files and reads them: `order(models, gpus)`."""
    from trimtab.simulation.placement import read_order

    def read(models, gpus):
        (tmp_path / "models.toml").write_text(models)
        (tmp_path / "gpus.toml").write_text(gpus)
        return read_order(tmp_path / "models.toml", tmp_path / "gpus.toml")

    return read
