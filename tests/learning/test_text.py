"""The course of a text controller, small and whole: learn, compress, calibrate, serve."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.engines.tiny import hugging_face_folder

from trimtab.controllers.text import TextController
from trimtab.core.errors import DataError
from trimtab.learning.adapt import Regimen
from trimtab.learning.calibrate import Promise
from trimtab.learning.labelled import Labelled
from trimtab.learning.text import begin, learn_text
from trimtab.learning.text_task import HeadTask, Settings
from trimtab.learning.text_variants import own_levels, write_base
from trimtab.learning.variant import Judged

WORDS = ("card", "flight", "song")
EXAMPLES = tuple(
    Labelled(f"{begin} {word} {end} {number}", word)
    for word in WORDS
    for begin in ("a", "the", "my", "new", "lost", "i book the", "how is my", "do i reset the")
    for end in ("", "please", "now", "on the way", "to go")
    for number in range(3)
)
INTENT = HeadTask("intent", "classify", EXAMPLES)
LOST = HeadTask(
    "lost", "gate", tuple(Labelled(each.text, "yes" if "lost" in each.text else "no") for each in EXAMPLES)
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return hugging_face_folder(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def settings(weights):
    regimen = Regimen(epochs=2, learning_rate=2e-3, max_tokens=24)
    return Settings(regimen=regimen, promise=Promise(precision=0.8), weights=weights, held_share=0.3)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, settings):
    folder = tmp_path_factory.mktemp("learned")
    return folder, learn_text("support", "1", [INTENT, LOST], folder, settings)


def test_one_command_makes_a_controller_that_decides(learned):
    folder, judged = learned
    assert [each.variant for each in judged][:3] == ["fp32", "fp16", "int8"]
    assert judged[2].megabytes < judged[1].megabytes < judged[0].megabytes
    controller = TextController.load(folder)
    for word in WORDS:
        answer = controller.decide(f"the {word} please 3")
        assert (answer.option, answer.abstained, answer.kind) == (word, False, "classify")
        assert (answer.controller, answer.version, answer.level) == ("support", "1", "linear")
    both = controller.decide_heads(["lost card now 2"])[0]
    assert [(answer.kind, answer.option) for answer in both] == [("classify", "card"), ("gate", "yes")]


def test_what_is_no_text_or_unheard_of_is_not_answered_by_level_0(learned):
    controller = TextController.load(learned[0])
    for text in ("", "  \n", "\x00\x01\x02abc", "!?!", "\ufffd\ufffd\ufffda"):
        answer = controller.decide(text)
        assert answer.abstained
        assert answer.option == ""
        assert answer.reasons
    assert controller.decide("какая погода завтра").level != "linear"
    assert controller.decide("x" * 100_000).level != "linear"


def test_a_level_passes_on_what_it_is_not_sure_of_until_nobody_is(learned, tmp_path):
    folder = tmp_path / "strict"
    shutil.copytree(learned[0], folder)
    path = folder / "controller.json"
    described = json.loads(path.read_text())
    for level, threshold in zip(described["levels"], (0.999999, 0.9999995, 0.0), strict=True):
        level["calibrations"]["intent"] |= {"threshold": threshold, "margin": 1.0}
    path.write_text(json.dumps(described))
    answer = TextController.load(folder).decide("the card please 3")
    assert answer.level == "fp16"
    assert [reason.split(":")[0] for reason in answer.reasons] == ["linear", "int8"]
    described["levels"][1]["calibrations"]["intent"]["margin"] = 0.0
    path.write_text(json.dumps(described))
    assert TextController.load(folder).decide("the card please 3").abstained, (
        "too far below: the last is not asked"
    )


def test_the_same_texts_are_decided_the_same_in_any_batch(learned):
    texts = [each.text for each in EXAMPLES[::7]] + ["a card a song", "flight flight", "unknown thing"]
    together = TextController.load(learned[0]).decide_many(texts)
    controller = TextController.load(learned[0])
    assert [controller.decide(text) for text in reversed(texts)] == together[::-1]


def test_an_encoder_is_shared_by_workflows_with_adapters_of_their_own(weights, settings, tmp_path):
    shared = tmp_path / "base"
    write_base(shared, [each.text for each in EXAMPLES[:40]], weights, rank=4)
    regimen = replace(settings.regimen, mode="lora", rank=4, epochs=2, learning_rate=1e-2)
    lora = replace(settings, regimen=regimen, shared=shared)
    judged = learn_text("songs", "1", [INTENT], tmp_path / "songs", lora)
    assert judged[0].variant == "int8, lora"
    assert judged[0].accuracy > 0.9
    head = replace(lora, regimen=replace(regimen, mode="head"))
    assert learn_text("cards", "1", [LOST], tmp_path / "cards", head)[0].variant == "int8, head"
    assert (tmp_path / "songs" / "adapter.npz").stat().st_size < 50_000
    assert TextController.load(tmp_path / "songs").decide("my new song 1").option == "song"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "controller.json").write_text("{"), r"controller\.json: no controller"),
        (lambda folder: (folder / "linear.npz").unlink(), r"linear\.npz.*no arrays can be read"),
        (lambda folder: (folder / "int8" / "heads.npz").write_bytes(b"PK"), r"heads\.npz.*no arrays"),
        (
            lambda folder: (folder / "int8" / "tokenizer.json").unlink(),
            r"tokenizer\.json: tokenizer: missing",
        ),
        (lambda folder: relabel(folder, ["card", "song"]), r"label"),
        (lambda folder: relabel(folder, ["card", "flight", "tune"]), r"label"),
    ],
)
def test_what_is_wrong_with_a_controller_is_said(learned, tmp_path, spoil, said):
    folder = tmp_path / "copy"
    shutil.copytree(learned[0], folder)
    spoil(folder)
    with pytest.raises(DataError, match=said):
        TextController.load(folder)


def relabel(folder, labels):
    path = folder / "controller.json"
    described = json.loads(path.read_text())
    described["heads"][0]["labels"] = labels
    path.write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("asked", "accuracies", "served", "tried"),
    [
        (("int8",), {"int8": 0.899}, "int8", ["int8"]),
        (("int4", "int8"), {"int4": 0.80, "int8": 0.90}, "int8", ["int4", "int8"]),
        (("int4", "int8"), {"int4": 0.90, "int8": 0.91}, "int4", ["int4", "int8"]),
        (("int4",), {"int4": 0.80, "int8": 0.90}, "int8", ["int4", "int8"]),
        (("int8",), {"int8": 0.88, "int8-qat": 0.897}, "int8-qat", ["int8", "int8-qat"]),
        (
            ("int8",),
            {"int8": 0.88, "int8-qat": 0.7, "int8-mixed": 0.85},
            "int8",
            ["int8", "int8-qat", "int8-mixed"],
        ),
    ],
)
def test_the_first_variant_within_the_allowance_serves_else_costlier_ones_are_tried(
    asked, accuracies, served, tried
):
    def made(variant):
        return Judged(variant, ({"fp32": 0.9, "fp16": 0.9} | accuracies)[variant], 1.0, 1.0)

    levels, judged = own_levels(Settings(variants=asked), made)
    assert [each.name for each in levels] == [served, "fp16"]
    assert [each.variant for each in judged] == ["fp32", "fp16", *tried]


def test_what_stops_training_sets_no_threshold(tmp_path, settings):
    stage = begin([INTENT], tmp_path, settings)
    parts = [{each.text for each in part[0]} for part in (stage.kept, stage.tune, stage.held)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(EXAMPLES)
    assert len(parts[2]) > len(parts[1])


def test_too_few_texts_to_judge_by_are_refused(tmp_path, settings):
    one_each = HeadTask("intent", "classify", EXAMPLES[:1] + EXAMPLES[-1:])
    with pytest.raises(DataError, match="every label needs texts of several groups"):
        learn_text("few", "1", [one_each], tmp_path / "few", settings)


def test_confidence_is_the_share_that_is_right():
    from trimtab.learning.calibrate import platt

    random = np.random.default_rng(0)
    scores = random.uniform(0.2, 1.0, 4_000)
    hits = random.random(4_000) < scores**2
    slope, offset = platt(scores, hits)
    odds = slope * np.log(scores / (1 - scores)) + offset
    assert abs(float((1 / (1 + np.exp(-odds))).mean()) - hits.mean()) < 0.01
