"""Policies and rules as settings name them."""

import pytest

from trimtab.app.policies import check_rules, load_function
from trimtab.config import load_text
from trimtab.core.errors import ConfigError

TEXT = """
[[rule]]
when = "tenant == 'acme'"
policy = "cheapest"

[[rule]]
when = "tennant == 'acme'"
policy = "cheapest"
"""


def test_a_rule_that_cannot_be_compiled_is_named_by_file_line_and_key():
    with pytest.raises(ConfigError, match=r"t\.toml:7: rule\[1\]\.when: .*unknown variable 'tennant'"):
        check_rules(load_text(TEXT, "t.toml", {}))


@pytest.mark.parametrize("name", ["no_such_module_at_all:f", "json:no_such_function", "json:__doc__"])
def test_a_function_that_cannot_be_used_is_named(name):
    with pytest.raises(ConfigError, match=name.split(":")[0]):
        load_function(name)
