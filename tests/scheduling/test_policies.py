"""Policies by name."""

import pytest

from trimtab.core.errors import ConfigError
from trimtab.scheduling import NAMED, scheduling_policy


def test_only_the_row_named_oracle_knows_the_truth():
    assert [name for name in NAMED if scheduling_policy(name).knows == "truth"] == ["oracle"]
    assert scheduling_policy("eta+srpt").knows == "history"


def test_what_engines_do_alone_does_not_hold_calls_here():
    held = {name: scheduling_policy(name).holds for name in NAMED}
    assert held == {
        "round_robin": False,
        "least_loaded": False,
        "prefix_load": False,
        "default": True,
        "graph": True,
        "oracle": True,
    }
    assert scheduling_policy("prefix_load+srpt").holds


def test_an_unknown_policy_names_those_there_are():
    with pytest.raises(ConfigError, match="there are round_robin, .*CHOOSER"):
        scheduling_policy("fastest")
