"""Bounded memory: embeddings of texts, adapters of workflows."""

import numpy as np
import pytest

from trimtab.core.errors import DataError
from trimtab.engines import Adapter, AdapterShelf, EmbeddingMemory, load_adapter, save_adapter


def adapter(kilobytes=1):
    return Adapter(np.zeros(kilobytes * 128, np.float32), np.zeros(kilobytes * 128, np.float32))


def test_an_embedding_is_remembered_by_text_and_adapter():
    memory = EmbeddingMemory(10_000)
    memory.keep("hello", np.ones(4, np.float32))
    assert memory.find("hello") is not None
    assert memory.find("hello", "another") is None
    assert (memory.hits, memory.misses) == (1, 1)


def test_the_memory_of_embeddings_stays_within_its_bytes():
    memory = EmbeddingMemory(3_000)
    for index in range(50):
        memory.keep(str(index), np.ones(64, np.float32))
        memory.find("0")
    assert memory.bytes <= 3_000
    assert memory.find("0") is not None, "what is asked for stays"
    assert memory.find("1") is None


def test_the_adapter_least_expected_to_be_asked_again_goes_first():
    now = [0.0]
    shelf = AdapterShelf(lambda name: adapter(), 3 * 1024, lambda: now[0])
    for name in ("often", "often", "often", "once", "twice", "twice"):
        shelf.take(name)
    shelf.take("new")
    assert shelf.names == ("often", "twice", "new")
    now[0] = 36_000.0
    shelf.take("new")
    shelf.take("newest")
    assert "new" in shelf.names, "old fame fades"
    assert shelf.bytes <= 3 * 1024


def test_a_large_adapter_must_be_used_more_to_stay():
    shelf = AdapterShelf(lambda name: adapter(8 if name == "large" else 1), 9 * 1024, lambda: 0.0)
    for name in ("large", "large", "small", "new"):
        shelf.take(name)
    assert shelf.names == ("small", "new")


def test_an_adapter_of_lesser_rank_is_filled_up(tmp_path):
    down, up = np.ones((2, 2, 8, 3), np.float32), np.ones((2, 2, 3, 8), np.float32)
    save_adapter(Adapter(down, up), tmp_path / "a.npz")
    loaded = load_adapter(tmp_path / "a.npz", layers=2, width=8, rank=4)
    assert loaded.down.shape == (2, 2, 8, 4)
    assert np.array_equal(loaded.down @ loaded.up, down @ up)


def test_an_adapter_of_another_encoder_or_a_damaged_one_is_named(tmp_path):
    down, up = np.ones((2, 2, 8, 3), np.float32), np.ones((2, 2, 3, 8), np.float32)
    save_adapter(Adapter(down, up), tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"a\.npz.*do not fit.*train it on this encoder"):
        load_adapter(tmp_path / "a.npz", layers=6, width=8, rank=4)
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    with pytest.raises(DataError, match=r"b\.npz.*no arrays can be read"):
        load_adapter(tmp_path / "b.npz", layers=2, width=8, rank=4)
