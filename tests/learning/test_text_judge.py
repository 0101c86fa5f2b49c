"""A packaged text controller judged on other texts: by its own tasks never, where there are others."""

import pytest
from tests.engines.tiny import hugging_face_folder
from tests.learning.taught import asked, rows_file, run_line, texts, write_lines

from trimtab.controllers import Registry
from trimtab.core.errors import DataError
from trimtab.evaluation import Interval
from trimtab.learning import (
    Course,
    CourseTerms,
    Picking,
    Source,
    TextTerms,
    examine_text,
    kept_precise,
    read_texts,
)

PICKING = Picking("classify", "triage")


def learned(folder, text):
    registry = Registry(folder / "controllers")
    source = Source("rows.jsonl", rows_file(folder))
    return Course(CourseTerms(PICKING, text), source, folder / "bench", registry, 1_800_000_000.0).run()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return learned(tmp_path_factory.mktemp("linear"), TextTerms(mode="linear", promise=0.9)).package


def examples(folder, rows):
    return read_texts(write_lines(folder / "others.jsonl", rows), PICKING, "others.jsonl")


def named(report, title):
    table = next(table for table in report.tables if table.title == title)
    return {row[0]: row[1:] for row in table.rows}


def test_held_out_rows_are_judged_beside_the_floors(package, tmp_path):
    rows = [{"text": f"well {text}", "label": label, "group": f"new {task}"} for text, label, task in texts()]
    report = examine_text(package.folder, examples(tmp_path, rows), "triage/classify", "others.jsonl")
    assert report.claims[0].startswith("None of these tasks taught it or set its thresholds")
    assert f"of {len(rows)} texts" in report.claims[1]
    said = named(report, "What it answers")
    answered, precision, right, _ = said["as it serves"]
    assert answered.value > 0.5
    assert isinstance(precision, Interval)
    assert precision.value > 0.9
    assert right.value == pytest.approx(answered.value * precision.value)
    assert said["one label always"][1].value == pytest.approx(1 / 3, abs=0.01)
    assert said["random label"][1].value == pytest.approx(1 / 3)
    assert said["TF-IDF + LR"][1].value > 0.9
    assert "Quantised beside full precision" not in {table.title for table in report.tables}


def test_tasks_that_taught_it_are_left_out(package, tmp_path):
    own = read_texts(rows_file(tmp_path), PICKING, "rows.jsonl")
    report = examine_text(package.folder, own, "triage/classify", "rows.jsonl")
    held_out = package.manifest.profile.calls
    assert report.runs == held_out < len(own)
    assert f"their {len(own) - held_out} texts are left out" in report.claims[0]
    said = named(report, "What it answers")["as it serves"]
    assert said[0].value == pytest.approx(package.manifest.report.metrics["answered"])
    assert said[1].value == pytest.approx(package.manifest.report.metrics["precision"])


def test_recorded_runs_are_read_as_the_kind_learns_them(package, tmp_path):
    lines = [run_line(f"new {task}", "big", asked(text, label)) for text, label, task in texts()]
    lines += [run_line("failed", "big", asked("a card", "song"), reward=0.0)]
    report = examine_text(package.folder, examples(tmp_path, lines), "triage/classify", "runs")
    assert report.runs == len({text for text, _, _ in texts()})
    assert named(report, "By label").keys() == {"card", "flight", "song"}


def test_a_label_it_was_not_taught_counts_against_it(package, tmp_path):
    rows = [{"text": f"a card {number}", "label": "tune", "group": str(number)} for number in range(9)]
    report = examine_text(package.folder, examples(tmp_path, rows), "triage/classify", "others.jsonl")
    assert named(report, "What it answers")["as it serves"][2].value == 0
    assert any("labels it was not taught: 'tune'" in note for note in report.notes)


def test_the_quantised_encoder_stands_beside_full_precision_where_that_was_kept(tmp_path):
    weights = str(hugging_face_folder(tmp_path / "weights"))
    text = TextTerms(promise=0.8, encoder=weights, epochs=1, learning_rate=2e-3, max_tokens=24, variants=("int4",),
                     allowance=1.0)  # fmt: skip
    course = learned(tmp_path, text)
    made = course.package
    assert [each.variant for each in course.variants] == ["fp32", "fp16", "int4"]
    assert all(0 <= each.held_out <= 1 and each.megabytes > 0 for each in course.variants)
    assert made.manifest.levels == ("linear", "int4", "fp16")
    assert "| int4 |" in (made.folder / "evaluation.md").read_text()
    rows = [{"text": f"well {text}", "label": label, "group": f"new {task}"} for text, label, task in texts()]
    asked_of = examples(tmp_path, rows[:60])
    precise = kept_precise(tmp_path / "bench", made.manifest.version)
    assert precise is not None
    beside = named(
        examine_text(made.folder, asked_of, "t", "f", "", precise), "Quantised beside full precision"
    )
    assert beside["fp32"][0].value > 0.5
    assert abs(beside["int4"][0].value - beside["fp32"][0].value - beside["int4"][1].value) < 1e-9
    assert beside["fp16"][2].value > 0.98
    assert kept_precise(tmp_path / "bench", "another") is None
    unkept = named(examine_text(made.folder, asked_of, "t", "f"), "Quantised beside full precision")
    assert unkept["fp32: not kept"] == (None, None, None)
    assert unkept["int4"][1] is None


def test_a_file_without_texts_is_refused(package, tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read_texts(write_lines(tmp_path / "none.jsonl", []), PICKING, "none.jsonl")
