"""The example of docs/placement.md is what a reader gets."""

import re
from pathlib import Path

import pytest

from trimtab.simulation.placement import Placement, plan

DOCS = Path(__file__).parents[3] / "docs" / "placement.md"


def test_the_example_of_the_docs_can_be_placed_as_they_say(order):
    pytest.importorskip("ortools", reason="the extra `place` is not installed")
    models, gpus = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    found = plan(order(models, gpus), 20)
    assert isinstance(found, Placement)
    assert (found.status, found.usd_per_hour, found.whole_gpus.usd_per_hour) == ("optimal", 12.5, 13.0)
    assert any("-cgi 4g.40gb:0" in line for line in found.mig)
