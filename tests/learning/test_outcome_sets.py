import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from trimtab.core.errors import DataError
from trimtab.evaluation import best_single, play_single, split_half_oracle
from trimtab.learning import SETS, outcomes_of_lines, read_outcomes, read_set

DATA = Path(os.environ.get("TRIMTAB_DATA", "../shared/data"))
needs_data = pytest.mark.skipif(not (DATA / "mcpmark").is_dir(), reason="no recorded sets in $TRIMTAB_DATA")


def row(task, model, reward, cost=0.1, **more):
    return {"task": task, "model": model, "reward": reward, "cost_usd": cost, **more}


def rows(tasks=6, models=("big", "small"), **more):
    return [row(f"t{task}", model, task % 2, **more) for task in range(tasks) for model in models]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_file_of_outcomes_is_read(tmp_path):
    recorded = read_outcomes(write(tmp_path / "o.jsonl", [*rows(text="do it"), row("t0", "big", None)]))
    assert recorded.outcomes.models == ("big", "small")
    assert recorded.outcomes.mean_reward[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert set(recorded.texts) == {"do it"}
    assert recorded.notes == ("1 runs without a known outcome left out",)


def test_repeats_are_kept_apart_and_conversations_of_one_run_add_up(tmp_path):
    again = [*rows(), row("t0", "big", 1, 0.3, run="r"), row("t0", "big", 1, 0.2, run="r")]
    recorded = read_outcomes(write(tmp_path / "o.jsonl", again))
    assert recorded.outcomes.reward.shape == (6, 2, 2)
    assert recorded.outcomes.cost[0, 0].tolist() == [0.1, 0.5]
    assert recorded.outcomes.mean_reward[0, 0] == 0.5


def test_recorded_runs_are_read_as_they_are_exported():
    lines = [
        json.dumps(
            {
                "agent": agent,
                "domain": "shop",
                "task": str(task),
                "trial": 0,
                "reward": 1.0,
                "agent_cost_usd": 0.25,
                "duration_s": 3.0,
                "messages": [{"role": "user", "content": "my order"}],
            }
        ).encode()
        for agent in ("a", "b")
        for task in range(3)
    ]
    recorded = outcomes_of_lines(lines, "traces")
    assert recorded.tasks == ("shop/0", "shop/1", "shop/2")
    assert recorded.texts[0] == "my order"
    assert recorded.outcomes.mean_seconds.tolist() == [[3.0, 3.0]] * 3


def test_an_unrecorded_cost_is_charged_at_the_mean(tmp_path):
    lines = rows()
    lines[0]["cost_usd"] = None
    recorded = read_outcomes(write(tmp_path / "o.jsonl", lines))
    assert recorded.outcomes.mean_cost[0, 0] == pytest.approx(0.1)
    assert "1 attempts without a recorded cost" in recorded.notes[0]


def test_tasks_and_models_that_leave_holes_are_left_out(tmp_path):
    lines = [*rows(10), row("t0", "rare", 1), row("t99", "big", 1)]
    recorded = read_outcomes(write(tmp_path / "o.jsonl", lines))
    assert recorded.outcomes.models == ("big", "small")
    assert "t99" not in recorded.tasks
    assert "1 tasks and 1 models left out" in recorded.notes[0]


@pytest.mark.parametrize(
    ("lines", "field", "told"),
    [
        ([{"task": "a", "reward": 1, "cost_usd": 1}], "model", "name the model"),
        ([row("a", "m", 1, None)], "cost_usd", "record what each run cost"),
        ([row("a", "m", 1)], "model", "fewer than two models"),
        ([{"reward": 1}], "", "missing required field `task`"),
        ([row("a", "m", "good")], "", "Expected `float | null`"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_a_remedy(tmp_path, lines, field, told):
    with pytest.raises(DataError, match=told) as caught:
        read_outcomes(write(tmp_path / "bad.jsonl", lines))
    assert caught.value.field == field
    assert "bad.jsonl" in str(caught.value)
    assert caught.value.remedy


def test_a_cut_or_absent_file_is_told(tmp_path):
    whole = gzip.compress("".join(json.dumps(line) + "\n" for line in rows(200)).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz:\d+: the gzip file is cut off"):
        read_outcomes(tmp_path / "cut.jsonl.gz")
    with pytest.raises(DataError, match="TRIMTAB_DATA"):
        read_set("mcpmark", tmp_path)


@needs_data
@pytest.mark.parametrize("name", SETS)
def test_known_sets_have_the_floors_they_are_known_for(name):
    recorded = read_set(name, DATA)
    outcomes = recorded.outcomes
    assert not np.isnan(outcomes.mean_reward).any()
    assert (outcomes.mean_cost > 0).all()
    best = play_single(outcomes, best_single(outcomes))
    assert best.completions > outcomes.mean_reward.mean()
    if name == "mcpmark":
        apart = split_half_oracle(outcomes)
        assert apart is not None
        assert apart.completions < best.completions + 0.05


@needs_data
def test_no_outcome_is_among_what_a_policy_sees_of_bfcl():
    recorded = read_set("bfcl_v1", DATA)
    right = recorded.outcomes.reward[:, :, 0]
    for column in range(recorded.statistics.shape[3]):
        shown = recorded.statistics[:, :, 0, column]
        told = ~np.isnan(shown)
        assert abs(np.corrcoef(shown[told], right[told])[0, 1]) < 0.5
