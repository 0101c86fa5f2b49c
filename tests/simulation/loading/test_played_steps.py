"""Reading what a load test plays."""

import json
import os
from pathlib import Path

import pytest

from trimtab.core.errors import DataError
from trimtab.simulation.loading import read_played
from trimtab.simulation.loading.filler import CHARACTERS_A_TOKEN

DATA = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[4] / "shared" / "data"))
LINE = {"run": "r", "sess": "r.agent", "step": 0, "deps": [], "gap": 0.5, "in": 100, "out": 10}


def written(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def characters(step, salt="play-1"):
    return sum(len(message.content) for message in step.messages(salt))


def test_steps_become_runs_with_their_dependencies(tmp_path):
    lines = [LINE | {"step": at, "deps": deps} for at, deps in ((3, []), (5, [3]), (7, [3]), (9, [5, 7]))]
    (run,) = read_played(written(tmp_path / "t.jsonl", *lines))
    assert [step.deps for step in run.steps] == [(), (0,), (0,), (1, 2)]
    assert {step.name for step in run.steps} == {"agent"}
    assert all(characters(step) == 100 * CHARACTERS_A_TOKEN for step in run.steps)


def test_sizes_can_be_scaled(tmp_path):
    (run,) = read_played(written(tmp_path / "t.jsonl", LINE), 0.1)
    assert (run.steps[0].input_tokens, run.steps[0].output_tokens) == (10, 1)
    assert characters(run.steps[0]) == 10 * CHARACTERS_A_TOKEN


def test_a_step_shares_with_another_what_was_shared(tmp_path):
    first = LINE | {"sys": "policy", "sys_tok": 40}
    second = LINE | {"step": 1, "deps": [0], "in": 150, "share_step": 0, "share_tok": 90}
    (run,) = read_played(written(tmp_path / "t.jsonl", first, second))
    one, two = ("".join(m.content for m in step.messages("a")) for step in run.steps)
    assert len(os.path.commonprefix([one, two])) == 90 * CHARACTERS_A_TOKEN
    other = "".join(m.content for m in run.steps[0].messages("b"))
    assert len(os.path.commonprefix([one, other])) == 40 * CHARACTERS_A_TOKEN + 1  # both go on with a bracket


def test_recorded_conversations_are_sent_as_said(tmp_path):
    said = [
        {"role": "user", "content": "Hello", "t": 0.0},
        {
            "role": "assistant",
            "content": "Hi",
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
            "t": 1.0,
        },
        {"role": "user", "content": "More", "t": 4.0},
        {
            "role": "assistant",
            "content": "Yes",
            "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            "t": 5.0,
        },
    ]
    recorded = {"agent": "m", "domain": "d", "task": "t", "trial": 0, "reward": 1.0, "messages": said}
    (run,) = read_played(written(tmp_path / "t.jsonl", recorded))
    assert [(step.deps, step.gap_seconds, step.output_tokens) for step in run.steps] == [
        ((), 0.0, 3),
        ((0,), 3.0, 2),
    ]
    assert [message.content for message in run.steps[1].messages("x")] == ["Hello", "Hi", "More"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([LINE | {"deps": [4]}], "waits for step 4"),
        ([LINE, LINE], "stands here twice"),
        ([{"run": "r"}], "no recorded run"),
        ([LINE, LINE | {"step": 1, "in": "many"}], "t.jsonl:2: $.in"),
        ([], "there is no run in it"),
    ],
)
def test_what_cannot_be_played_is_named(tmp_path, lines, told):
    with pytest.raises(DataError, match="t.jsonl") as caught:
        list(read_played(written(tmp_path / "t.jsonl", *lines)))
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["agent_steps/service.jsonl.gz", "agent_steps/coding.jsonl.gz"])
def test_the_recorded_steps_can_be_played(name):
    if not (DATA / name).is_file():
        pytest.skip(f"recorded steps are not at {DATA / name} (set TRIMTAB_DATA)")
    runs = list(read_played(DATA / name, 0.01))
    assert sum(len(run.steps) for run in runs) in (7030, 8929)
    assert max(len(step.deps) for run in runs for step in run.steps) >= 1
