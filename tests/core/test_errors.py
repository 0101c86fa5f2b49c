"""The error tree: one root, and a docstring that draws it as it is."""

import inspect
import re

from trimtab.core import errors


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = set(re.findall(r"[A-Z]\w+(?= {2,})", errors.__doc__)) | {"TrimtabError", "CallError"}
    classes = {name for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert drawn == classes
    assert all(issubclass(getattr(errors, name), errors.TrimtabError) for name in classes)


def test_codes_of_calls_are_all_different():
    kinds = errors.CallError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_errors_of_settings_and_data_say_where():
    assert str(errors.ConfigError("wrong", file="t.toml", line=3, key="a.b")) == "t.toml:3: a.b: wrong"
    found = errors.DataError("wrong", file="r.jsonl", line=2, field="reward", remedy="mend it")
    assert str(found) == "r.jsonl:2: reward: wrong (mend it)"
