import json
import shutil

import numpy as np
import pytest

from learning import lending
from trimtab.controllers import NAMES, StepModel
from trimtab.controllers.step import StepController
from trimtab.core.errors import DataError

_ARRAYS = ("feature", "threshold", "left", "right", "value", "roots")


@pytest.fixture(scope="module")
def sound(desk_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    desk_model.save(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "model")
    return tmp_path / "model"


def refused(folder, file, field=None):
    with pytest.raises(DataError) as caught:
        StepController.load(folder)
    error = caught.value
    assert error.file == str(folder / file)
    assert error.remedy
    assert error.field if field is None else error.field == field
    return error


@pytest.mark.parametrize("name", ["step.json", "trees.npz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert "No such file" in str(refused(folder, name, "$"))


@pytest.mark.parametrize("name", ["step.json", "trees.npz"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    refused(folder, name)


@pytest.mark.parametrize("name", ["step.json", "trees.npz"])
@pytest.mark.parametrize(
    "content", [b"\x00" * 100, b"PK\x03\x04 and no more", b"null", b"[]", b"\xff\xfe", b"\x93NUMPY"]
)
def test_a_file_of_something_else_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    refused(folder, name)


def flipped(content, times=80):
    """The content with one bit turned over, many times."""
    draw = np.random.default_rng(0)
    for at in draw.integers(0, len(content), times).tolist():
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(draw.integers(8))
        yield damaged


def loaded(folder, file):
    """What a controller makes of a file: a model, or a refusal that names it."""
    try:
        return StepModel.load(folder)
    except DataError as error:
        if error.file != str(folder / file):
            raise
        return None


def test_a_flipped_bit_of_the_trees_is_refused_or_changes_nothing(folder, desk_model):
    for damaged in flipped((folder / "trees.npz").read_bytes()):
        (folder / "trees.npz").write_bytes(damaged)
        made = loaded(folder, "trees.npz")
        for name in ("later", "next", "action") if made else ():
            one, two = getattr(made, name), getattr(desk_model, name)
            assert all(np.array_equal(getattr(one, part), getattr(two, part)) for part in _ARRAYS)


def test_a_flipped_bit_of_the_facts_is_refused_or_still_decides(folder):
    for damaged in flipped((folder / "step.json").read_bytes()):
        (folder / "step.json").write_bytes(damaged)
        made = loaded(folder, "step.json")
        if made:
            StepController(made).decide(lending.asked(901), agent="clerk")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("features",), list(reversed(NAMES)), "features"),
        (("features",), [*NAMES, "mood"], "features"),
        (("catalogue", "rates"), [[0.1, 0.1]], "catalogue.rates"),
        (("catalogue", "recipes", 0, "bound"), "loose", None),
        (("catalogue", "recipes", 0, "chain"), [[0, 9]], None),
        (("catalogue", "recipes", 0, "ingredients", 0, "source"), "", None),
        (("catalogue", "recipes", 0, "ingredients", 0), {"argument": "a", "constant": "{"}, None),
        (("thresholds", "eager"), "high", None),
        (("cues_later",), None, None),
        (("tools",), ["find_member"], None),
    ],
)
def test_facts_that_do_not_fit_are_refused_with_their_field(folder, path, value, field):
    facts = json.loads((folder / "step.json").read_bytes())
    node = facts
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    (folder / "step.json").write_text(json.dumps(facts))
    refused(folder, "step.json", field)


@pytest.mark.parametrize("name", ["later", "next", "action"])
@pytest.mark.parametrize("part", ["feature", "threshold", "left", "right", "value", "roots", "depth", "base"])
def test_arrays_that_do_not_fit_are_refused_with_their_ensemble(folder, name, part):
    with np.load(folder / "trees.npz") as file:
        arrays = dict(file)
    key = f"{name}.{part}"
    wrong = {"depth": np.array(10**6), "base": np.array(np.nan)}.get(part)
    shorter = arrays[key][:-1] if wrong is None else wrong
    for broken in (shorter, arrays[key].astype(object), None, np.array(["x"])):
        left = {other: array for other, array in arrays.items() if other != key}
        np.savez(folder / "trees.npz", **(left if broken is None else left | {key: broken}))
        assert refused(folder, "trees.npz").field.partition(".")[0] == name
