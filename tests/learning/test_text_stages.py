"""The shared encoder: one for each content of the weights."""

import pytest
from tests.engines.tiny import hugging_face_folder

from trimtab.learning import TextTerms
from trimtab.learning.distil import Distilled
from trimtab.learning.text_stages import Lesson, shared_encoder


@pytest.fixture
def share(tmp_path, monkeypatch):
    """`home = share(weights)`; what stands there is the bytes of the weights, quantised by nobody."""

    def write_base(folder, texts, weights, rank):
        folder.mkdir(parents=True)
        (folder / "encoder.bin").write_bytes((weights / "model.safetensors").read_bytes())

    monkeypatch.setattr("trimtab.learning.text_variants.write_base", write_base)

    def share(weights, rank=4):
        terms = TextTerms(mode="head", encoder=str(weights), rank=rank)
        distilled = Distilled((), (), (), ())
        return shared_encoder(Lesson("a", "classify", distilled, terms, tmp_path / "shared"), lambda *_: None)

    return share


def test_fine_tunes_of_one_size_are_not_taken_for_each_other(share, tmp_path):
    one, other, same = (
        hugging_face_folder(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 1), ("c", 0))
    )
    sizes = [sorted((file.name, file.stat().st_size) for file in each.iterdir()) for each in (one, other)]
    assert sizes[0] == sizes[1]
    assert share(one) != share(other)
    assert (share(other) / "encoder.bin").read_bytes() == (other / "model.safetensors").read_bytes()
    assert share(same) == share(one) != share(one, rank=8)
