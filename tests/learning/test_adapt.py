"""Training: seeded, stopped when it no longer helps, resumed where it was interrupted."""

import numpy as np
import pytest
import torch
from tests.engines.tiny import hugging_face_folder
from tokenizers import Tokenizer

from trimtab.learning.adapt import Classifier, Regimen, accuracy, adapt, batches, logits_of, tokenise
from trimtab.learning.encoder import load_encoder
from trimtab.learning.labelled import Labelled, split

TEXTS = [f"{begin} {word}" for word in ("card", "song") for begin in ("a", "the", "my", "new", "lost") * 8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return hugging_face_folder(tmp_path_factory.mktemp("hf"))


@pytest.fixture(scope="module")
def samples(folder):
    targets = np.eye(2, dtype=np.float32)[[int("song" in text) for text in TEXTS]]
    return tokenise(Tokenizer.from_file(str(folder / "tokenizer.json")), TEXTS, targets, 16)


def fresh(folder):
    torch.manual_seed(0)
    return Classifier(load_encoder(folder), 2)


@pytest.mark.parametrize("mode", ["full", "lora", "head"])
def test_every_mode_learns_and_two_runs_agree_to_the_bit(folder, samples, mode):
    regimen = Regimen(mode=mode, epochs=3, learning_rate=5e-3, batch=8, rank=2, patience=3)
    said = []
    for _ in range(2):
        model = fresh(folder)
        assert adapt(model, samples, samples, regimen) > 0.9
        said.append(logits_of(model, samples))
    assert torch.equal(*said)


def test_an_interrupted_training_goes_on_to_the_same_end(folder, samples, tmp_path):
    regimen = Regimen(epochs=3, learning_rate=1e-3, batch=8, patience=3)
    whole = fresh(folder)
    adapt(whole, samples, samples, regimen)

    def interrupt(stage, share):
        if share > 0.5:
            raise KeyboardInterrupt

    halted = fresh(folder)
    with pytest.raises(KeyboardInterrupt):
        adapt(halted, samples, samples, regimen, checkpoint=tmp_path / "at.pt", progress=interrupt)
    resumed, epochs = fresh(folder), set()
    adapt(
        resumed,
        samples,
        samples,
        regimen,
        checkpoint=tmp_path / "at.pt",
        progress=lambda stage, _: epochs.add(stage),
    )
    assert epochs == {"epoch 2", "epoch 3"}
    assert torch.equal(logits_of(whole, samples), logits_of(resumed, samples))


def test_training_stops_when_validation_no_longer_gains_and_keeps_the_best(folder, samples):
    epochs = set()
    model = fresh(folder)
    regimen = Regimen(epochs=30, learning_rate=5e-3, batch=8, patience=2)
    best = adapt(model, samples, samples, regimen, progress=lambda stage, _: epochs.add(stage))
    assert len(epochs) < 10
    assert accuracy(model, samples) == best


def test_batches_hold_every_text_once_and_texts_of_like_length(samples):
    order = np.random.default_rng(0).permutation(len(samples))
    drawn = np.concatenate(list(batches(samples, 8, order)))
    assert sorted(drawn) == list(range(len(samples)))


def test_a_group_never_stands_on_both_sides_and_rows_added_move_nobody():
    rows = [Labelled(f"text {index}", "ab"[index % 2], group=f"task {index // 4}") for index in range(80)]
    kept, held = split(rows, 0.25, seed=1)
    assert {each.group for each in kept}.isdisjoint(each.group for each in held)
    assert 0.15 < len(held) / len(rows) < 0.35
    more = [*rows, Labelled("another", "a", group="task 99")]
    moved = {each.group for each in split(more, 0.25, seed=1)[1]} ^ {each.group for each in held}
    assert len(moved) <= 2
