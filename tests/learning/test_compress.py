"""Compression: every variant becomes a graph that runs, and does to the weights what its name says."""

from dataclasses import replace

import numpy as np
import openvino
import pytest
import torch
from tests.engines.tiny import hugging_face_folder
from tests.learning.test_adapt import TEXTS
from tokenizers import Tokenizer

from trimtab.learning.adapt import Classifier, Regimen, adapt, tokenise
from trimtab.learning.compress import Source, _FourBits, compress, is_two_of_four, two_of_four
from trimtab.learning.encoder import load_encoder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = hugging_face_folder(tmp_path_factory.mktemp("hf"))
    targets = np.eye(2, dtype=np.float32)[[int("song" in text) for text in TEXTS]]
    samples = tokenise(Tokenizer.from_file(str(folder / "tokenizer.json")), TEXTS, targets, 16)
    torch.manual_seed(0)
    model = Classifier(load_encoder(folder), 2)
    regimen = Regimen(epochs=2, learning_rate=2e-3, batch=8)
    adapt(model, samples, samples, regimen)
    return Source(model, samples, samples, regimen)


@pytest.mark.parametrize("variant", ["int8-mixed", "int8-qat", "int4-qat", "int8-2:4"])
def test_a_variant_runs_and_still_knows_its_task(source, variant):
    made = compress(source, variant)
    run = openvino.Core().compile_model(made.graph, "CPU")
    right = 0
    for ids, target in zip(source.validation.ids, source.validation.targets, strict=True):
        pooled = run([ids[None], np.ones((1, len(ids)), np.int64)])[0][0]
        right += int((made.weight @ pooled + made.bias).argmax()) == int(target.argmax())
    assert right / len(source.validation) > 0.9


def test_two_of_four_keeps_the_larger_half():
    weight = torch.tensor([[1.0, -4.0, 3.0, 2.0, 0.1, 0.2, -0.3, 0.4]])
    assert two_of_four(weight).tolist() == [[0, 1, 1, 0, 0, 0, 1, 1]]
    assert is_two_of_four(weight * two_of_four(weight))
    assert not is_two_of_four(weight)


def test_weights_on_the_int4_grid_stay_where_they_are():
    weight = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))
    once = _FourBits()(weight)
    assert torch.allclose(_FourBits()(once), once, atol=1e-6)
    assert all(len(group.unique()) <= 16 for group in once.reshape(-1, 64))


def test_what_follows_a_change_is_a_short_training_at_a_lower_rate(source):
    tuning = replace(source).tuning(0.5, epochs=2)
    assert (tuning.mode, tuning.epochs, tuning.learning_rate) == ("full", 2, source.regimen.learning_rate / 2)
