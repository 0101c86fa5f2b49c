"""Packages on disk: whole or not there, and what is loaded is what was packed."""

import json

import pytest

from trimtab.controllers import Broken, Package, Registry, place_of
from trimtab.core.errors import DataError

from .tiny import manifest, pack

RULES = [{"when": "order", "calls": [["get_order", {"id": "W1"}]]}]


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


@pytest.fixture
def package(registry, tmp_path):
    return pack(registry, tmp_path / "made", RULES)


def test_a_package_comes_back_as_it_was_packed(registry, package):
    opened = registry.open("support", "step", "1")
    assert opened == package
    assert opened.manifest.name == "support/step"
    assert {file.path for file in opened.manifest.files} == {"rules.json", "card.md", "card.json"}
    assert json.loads((opened.folder / "rules.json").read_text()) == RULES


def test_the_card_says_what_it_is(package):
    card = (package.folder / "card.md").read_text()
    assert card.startswith("# support/step@1\n")
    assert "passed | yes" in card
    assert json.loads((package.folder / "card.json").read_text())["workflow"] == "support"


def test_a_card_of_ones_own_is_kept(registry, tmp_path):
    made = tmp_path / "own"
    made.mkdir()
    (made / "card.md").write_text("mine")
    assert (pack(registry, made, RULES, version="2").folder / "card.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("harm", "file", "said"),
    [
        (lambda home: (home / "rules.json").write_bytes(b"[1]"), "rules.json", "bytes, "),
        (lambda home: _flip(home / "rules.json"), "rules.json", "its hash differs"),
        (lambda home: (home / "rules.json").unlink(), "rules.json", "missing"),
        (lambda home: (home / "more.bin").write_bytes(b"x"), "more.bin", "was not packed"),
        (lambda home: _flip(home / "manifest.json"), "manifest.json", "its hash differs"),
        (lambda home: (home / "manifest.json").unlink(), "manifest.json", "missing"),
        (lambda home: (home / "manifest.sha256").unlink(), "manifest.sha256", "missing"),
    ],
)
def test_a_harmed_package_is_refused_by_file_with_a_remedy(registry, package, harm, file, said):
    harm(package.folder)
    with pytest.raises(DataError) as caught:
        registry.open("support", "step", "1")
    assert caught.value.file.endswith(file)
    assert said in str(caught.value)
    assert caught.value.remedy


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_package_in_another_ones_place_is_refused(registry, package):
    package.folder.rename(package.folder.with_name("2"))
    with pytest.raises(DataError, match="says it is support/step@1"):
        registry.open("support", "step", "2")


def test_a_version_is_packed_once(registry, package, tmp_path):
    with pytest.raises(DataError, match="there already"):
        pack(registry, tmp_path / "again", RULES)


def test_a_failed_packing_leaves_nothing(registry, tmp_path):
    with pytest.raises(DataError):
        registry.add(tmp_path / "not-there", manifest())
    assert list(registry.list()) == []
    assert registry.versions("support", "step") == []


def test_all_are_listed_broken_ones_too(registry, package, tmp_path):
    other = pack(registry, tmp_path / "made", RULES, workflow="a/../b é", version="7")
    (package.folder / "manifest.json").unlink()
    registry.cache.mkdir()
    kinds = {type(each): place_of(each.folder) for each in registry.list()}
    assert kinds == {Broken: ("support", "step", "1"), Package: ("a/../b é", "step", "7")}
    assert other.folder.is_relative_to(registry.root)


@pytest.mark.parametrize("workflow", ["..", ".", "a/b", "/etc"])
def test_no_name_of_a_workflow_leads_out_of_the_registry(registry, workflow):
    assert registry.folder(workflow, "step", "1").resolve().parent.parent.parent == registry.root.resolve()


def test_a_version_is_deleted_whole(registry, package):
    assert registry.delete("support", "step", "1")
    assert not package.folder.exists()
    assert not registry.delete("support", "step", "1")


@pytest.mark.parametrize("version", ["", "..", "a/b", ".hidden", "x" * 101])
def test_a_version_that_is_no_folder_name_is_refused(version):
    with pytest.raises(ValueError):
        manifest(version=version)
