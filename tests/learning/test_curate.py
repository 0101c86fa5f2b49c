"""Curation: what is taken of recorded runs and rows, how it is cut, what is refused."""

import json

import pytest
from tests.learning.taught import WORDS, asked, rows_file, run_line, texts, write_lines

from trimtab.core.errors import DataError
from trimtab.learning.card import data_card_markdown
from trimtab.learning.curate import SIDES, Cut, curate
from trimtab.learning.distil import distil
from trimtab.learning.examples import (
    Example,
    Picking,
    examples_of_runs,
    holds_runs,
    read_rows,
    read_runs,
)
from trimtab.learning.likeness import near_duplicates

CUT = Cut("triage", "classify", "rows.jsonl")
CLASSIFY = Picking("classify", "triage")


def examples():
    return [Example(text, label, task) for text, label, task in texts()]


def of_runs(folder, lines, picking=CLASSIFY):
    path = write_lines(folder / "runs.jsonl", lines)
    return examples_of_runs(read_runs(path, "triage"), picking, str(path))


def test_no_task_and_no_text_stands_on_two_sides():
    doubled = [
        Example(each.text.upper() + " ", each.label, f"other {each.group}") for each in examples()[::3]
    ]
    curated = curate([*examples(), *doubled], CUT)
    parts = [getattr(curated, side) for side in SIDES]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {each.group for each in parts[one]} & {each.group for each in parts[other]}
        assert not {each.text.casefold() for each in parts[one]} & {
            each.text.casefold() for each in parts[other]
        }
    assert curated.card.duplicates == len(doubled)
    assert (curated.card.leaks.same_group, curated.card.leaks.same_text) == (0, 0)
    assert sum(part.texts for part in curated.card.parts.values()) == len(examples())


def test_the_same_data_and_seed_make_the_same_cut_and_another_seed_another():
    assert curate(examples(), CUT) == curate(examples(), CUT)
    other = curate(examples(), Cut("triage", "classify", "rows.jsonl", seed=1))
    assert other.card.digest != curate(examples(), CUT).card.digest


def test_texts_that_are_nearly_the_same_are_found():
    known = ["where is my order number 12345, please tell me now", "cancel the flight"]
    said = near_duplicates(["Where is my order number 99999, please tell me now!", "play a song", ""], known)
    assert said == [True, False, False]


def test_a_file_may_say_which_part_a_row_is_of(tmp_path):
    rows = [
        {"text": text, "label": label, "split": "test" if at % 4 == 0 else "train"}
        for at, (text, label, _) in enumerate(texts())
    ]
    curated = curate(read_rows(write_lines(tmp_path / "rows.jsonl", rows)), CUT)
    assert {each.text for each in curated.judge} == {row["text"] for row in rows if row["split"] == "test"}
    assert curated.validate
    rows[0]["split"] = "holiday"
    with pytest.raises(DataError, match="unknown part 'holiday'"):
        curate(read_rows(write_lines(tmp_path / "rows.jsonl", rows)), CUT)


def test_the_card_says_what_was_left_out_and_how_uneven_labels_are():
    rare = [Example("what a rare text", "rare", "t1")]
    few = [each for each in examples() if each.label != "song" or each.group in ("a/", "a/now", "a/again")]
    card = curate([*few, *rare], CUT).card
    assert card.left_out == {"label 'rare': needs 3 texts": 1}
    assert "labels are uneven" in card.notes[0]
    shown = data_card_markdown(card)
    assert "# Data card: triage/classify" in shown
    assert "label 'rare'" in shown


def test_a_label_of_one_task_is_learned_and_the_card_says_that_nobody_judges_it():
    one = [Example(f"odd text {n}", "odd", "t1") for n in range(5)]
    curated = curate([*examples(), *one], CUT)
    assert {each.label for each in curated.learn} == {*WORDS, "odd"}
    assert curated.card.notes[-1] == "1 labels have too few tasks to be judged: 'odd'"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "holds no texts"),
        ([Example("a b", "x", "t1")] * 9, "no label has three texts"),
        ([Example(f"text {n}", "x", f"t{n}") for n in range(9)], "all texts have the label 'x'"),
        ([Example(f"text {n}", "xy"[n % 2], "t1") for n in range(9)], "1 tasks cannot be cut in three"),
        (
            [Example(f"text {n}", "xy"[n % 2], f"t{n % 2}") for n in range(9)],
            "2 tasks cannot be cut in three",
        ),
    ],
)
def test_too_little_is_refused_with_what_is_missing(given, said):
    with pytest.raises(DataError, match=said) as error:
        curate(given, CUT)
    assert "rows.jsonl" in str(error.value)


def test_teachers_who_differ_share_a_text_by_how_far_they_are_trusted():
    more = [
        Example(each.text, "flight", each.group, "weak", "", 0.5)
        for each in examples()
        if each.label == "card"
    ]
    taught = distil(curate([*examples(), *more], CUT))
    soft = [each for each in taught.learn if each.text == "a card"] or [
        each for each in taught.learn if "card" in each.text.split()
    ][:2]
    assert {each.label: each.weight for each in soft} == {"card": 0.5, "flight": 0.25}
    assert all(each.label == "card" for each in taught.judge if "card" in each.text.split())
    assert len({each.text for each in taught.judge}) == len(taught.judge)


def test_recorded_classification_calls_are_found_by_their_replies(tmp_path):
    lines = [run_line(task, "big", asked(text, label)) for text, label, task in texts()[:60]]
    lines += [run_line(f"t{n}", "big", asked("tell me", f"long story {n}", "chat")) for n in range(20)]
    lines += [run_line("t1", "big", asked("a card", "nonsense"), reward=0.0)]
    lines += [run_line("t1", "big", asked("a card", "nonsense", answered_by="controller"))]
    found = of_runs(tmp_path, lines)
    assert {each.label for each in found} == set(WORDS)
    assert len(found) == 60
    assert {round(each.weight, 3) for each in found} == {round(81 / 82, 3)}


def test_a_label_is_unwrapped_from_the_reply_the_settings_describe(tmp_path):
    lines = [
        run_line(task, "big", asked(text, json.dumps({"intent": label})))
        for text, label, task in texts()[:30]
    ]
    picking = Picking("classify", "triage", reply='{"intent": "{label}"}')
    assert {each.label for each in of_runs(tmp_path, lines, picking)} == set(WORDS)


def test_the_route_is_the_cheapest_that_completes_the_task(tmp_path):
    lines = []
    for task, small in (("easy", 1.0), ("hard", 0.0)):
        for trial in range(2):
            lines.append(run_line(task, "small", asked(f"{task} {trial}", "ok"), small, 0.001, trial=trial))
            lines.append(run_line(task, "big", asked(f"{task} please {trial}", "ok"), 1.0, 0.1, trial=trial))
    lines.append(run_line("hopeless", "small", asked("never", "ok"), 0.0, 0.001))
    lines.append(run_line("hopeless", "big", asked("never", "ok"), 0.0, 0.1))
    found = of_runs(tmp_path, lines, Picking("route", "triage"))
    assert {(each.group, each.label) for each in found} == {("easy", "small"), ("hard", "big")}
    assert sum(each.weight for each in found if each.group == "easy") == pytest.approx(1.0)


def test_a_reply_is_good_enough_where_its_run_was_completed(tmp_path):
    called = asked("my card?", None, tool_calls=[{"id": "c1", "name": "get", "arguments": {"id": 1}}])
    lines = [run_line("t1", "big", called), run_line("t2", "big", asked("my song?", "no idea"), 0.0)]
    found = of_runs(tmp_path, lines, Picking("verify", "triage"))
    assert [each.label for each in found] == ["accept", "reject"]
    assert found[0].text.startswith("my card?")
    assert "get {" in found[0].text


@pytest.mark.parametrize(
    ("more", "picking", "said"),
    [
        ({}, Picking("classify", "travel"), "no runs of workflow 'travel'.*triage"),
        ({"reward": None}, CLASSIFY, "none of 12 runs has an outcome.*--reward 0"),
        ({"reward": 0.5}, CLASSIFY, "none of 12 runs reached 1; the best has 0.5"),
        ({}, Picking("classify", "triage", teachers=("nobody",)), "no runs of nobody.*big"),
        ({}, CLASSIFY, "no step's replies come from a small closed set.*'classify'"),
        ({}, Picking("route", "triage"), "no task was tried by several agents"),
        ({}, Picking("gate", "triage"), "say nothing to learn gate from"),
    ],
)
def test_what_runs_lack_is_said(tmp_path, more, picking, said):
    lines = [run_line(f"t{n}", "big", asked(f"tell {n}", f"reply {n}"), **more) for n in range(12)]
    path = write_lines(tmp_path / "runs.jsonl", lines)
    with pytest.raises(DataError, match=said):
        examples_of_runs(read_runs(path, picking.workflow), picking, str(path))


def test_runs_of_unknown_outcome_may_be_taken_on_purpose(tmp_path):
    lines = [run_line(task, "big", asked(text, label), None) for text, label, task in texts()[:30]]
    assert len(of_runs(tmp_path, lines, Picking("classify", "triage", reward=0.0))) == 30


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "is empty"),
        ("{", "not JSON"),
        ('{"question": 1}', "neither a recorded run nor a labelled row"),
        ("[1]", "neither a recorded run nor a labelled row"),
    ],
)
def test_a_file_of_something_else_is_told_by_its_first_line(tmp_path, line, said):
    path = tmp_path / "odd.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=said):
        holds_runs(path)
    assert not holds_runs(rows_file(tmp_path))


@pytest.mark.parametrize("row", ['{"text": "a"}', '{"text": "a", "label": 3}', '{"text": "a", "label": " "}'])
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path, row):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": "b"}\n' + row + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2"):
        read_rows(path)
