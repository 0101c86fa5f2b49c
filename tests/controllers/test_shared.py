"""Encoders that packages share: one for each content, made once, hashed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from trimtab.controllers import Bench, Registry, publish, shared_key
from trimtab.controllers.loaders import LOADERS
from trimtab.core.errors import DataError

from .tiny import manifest


def weights(folder, content):
    folder.mkdir()
    (folder / "model.bin").write_bytes(content)
    return folder


def made(content=b"weights"):
    def make(folder):
        folder.mkdir()
        (folder / "encoder.bin").write_bytes(content)

    return make


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


@pytest.fixture
def package(registry, tmp_path):
    """A package that rests on a shared encoder."""
    home = publish(registry.shared, "k1", made())
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rules.json").write_text("[]")
    return registry.add(tmp_path / "own", manifest(shared=registry.pin([home])))


def test_weights_of_one_size_and_other_content_are_not_shared(tmp_path):
    one, other, same = (
        weights(tmp_path / n, c) for n, c in (("a", b"12345"), ("b", b"54321"), ("c", b"12345"))
    )
    assert shared_key(one, 8) == shared_key(same, 8)
    assert len({shared_key(one, 8), shared_key(other, 8), shared_key(one, 4)}) == 3


def test_one_is_made_once_and_verified_before_it_is_used_again(registry):
    home = publish(registry.shared, "k1", made())
    assert publish(registry.shared, "k1", made(b"never made")) == home
    assert (home / "encoder.bin").read_bytes() == b"weights"
    (home / "encoder.bin").write_bytes(b"weighty")
    with pytest.raises(DataError, match=r"encoder\.bin: is not what was packed"):
        publish(registry.shared, "k1", made())


def test_of_those_who_make_one_at_the_same_time_the_first_ones_stands(registry):
    begun = threading.Barrier(6)

    def make(number):
        def fill(folder):
            begun.wait(10)
            made(str(number).encode())(folder)

        return publish(registry.shared, "k1", fill)

    with ThreadPoolExecutor(6) as pool:
        homes = set(pool.map(make, range(6)))
    assert [each.name for each in registry.shared.iterdir()] == ["k1"]
    (home,) = homes
    assert (home / "encoder.bin").read_bytes() in {str(number).encode() for number in range(6)}


def test_one_that_cannot_be_made_leaves_nothing(registry):
    def broken(folder):
        folder.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(registry.shared, "k1", broken)
    assert list(registry.shared.iterdir()) == []


def test_a_package_opens_only_on_the_encoder_it_was_packed_with(registry, package):
    assert registry.open("support", "step", "1") == package
    file = registry.shared / "k1" / "encoder.bin"
    file.write_bytes(b"WEIGHTS")
    with pytest.raises(DataError, match=r"encoder\.bin: is not what was packed") as caught:
        registry.open("support", "step", "1")
    assert "learn it again" in caught.value.remedy
    file.unlink()
    with pytest.raises(DataError, match="missing"):
        registry.open("support", "step", "1")


def test_what_stands_elsewhere_cannot_be_pinned(registry, tmp_path):
    with pytest.raises(DataError, match="none of the registry's encoders"):
        registry.pin([weights(tmp_path / "elsewhere", b"1")])


def test_a_text_controller_on_an_encoder_nobody_hashed_is_not_loaded(registry, package, monkeypatch):
    class Outside:
        def rests_outside(self, folder):
            return True

        def decide_many(self, texts):
            return []

    monkeypatch.setattr("trimtab.controllers.text.TextController.load", lambda *_: Outside())
    assert LOADERS["classify"](package.folder, Bench()) is not None
    unpinned = registry.add(package.folder.parent / "1", manifest(version="2"))
    with pytest.raises(DataError, match="whose hashes it does not keep"):
        LOADERS["classify"](unpinned.folder, Bench())
