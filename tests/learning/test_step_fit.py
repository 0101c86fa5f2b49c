import numpy as np

from trimtab.controllers import Thresholds, tool_digests
from trimtab.learning.step_fit import (
    Seen,
    action_chances,
    assemble,
    fit_action,
    fit_step,
    full_rows,
    is_exact,
    see,
    see_across,
    task_folds,
)

from . import lending


def test_folds_part_the_tasks_and_the_same_seed_parts_them_alike():
    tasks = [f"t{number % 7}" for number in range(30)]
    folds = task_folds(tasks, 3, 1)
    assert sorted(task for fold in folds for task in fold) == sorted(set(tasks))
    assert folds == task_folds(list(reversed(tasks)), 3, 1)
    assert folds != task_folds(tasks, 3, 2)
    assert len(task_folds(["a", "b"], 5, 0)) == 2


def test_every_moment_is_seen_once_by_a_model_that_never_saw_its_task():
    known, catalogue = lending.lived()
    told = []
    seen = see_across(known[:12], catalogue, 2, 0, lambda: told.append(1))
    assert len(told) == 2
    assert len(seen) == sum(len(one.moments) for one in known[:12])
    assert len({(one.lived.episode.id, one.moment.reply) for one in seen}) == len(seen)
    assert all(len(one.later) == len(one.next) == len(one.moment.keys) for one in seen)


def test_what_was_learned_tells_the_next_call_from_the_rest():
    known, catalogue = lending.lived()
    fitted = fit_step(known[:30], catalogue, 0)
    seen = [one for one in see(fitted, known[30:]) if len(one.next)]
    hits = np.concatenate([one.next[one.moment.next] for one in seen])
    rest = np.concatenate([one.next[~one.moment.next] for one in seen])
    assert np.median(hits) > 0.9
    assert np.median(rest) < 0.1


def test_the_same_seed_gives_the_same_model_to_the_last_bit():
    known, catalogue = lending.lived()
    one, two = (fit_step(known[:4], catalogue, 4) for _ in range(2))
    assert one.catalogue == two.catalogue
    assert one.cues.tables() == two.cues.tables()
    assert all(
        np.array_equal(getattr(one.next, part), getattr(two.next, part)) for part in ("threshold", "value")
    )


def test_nothing_to_learn_from_gives_a_model_that_never_speaks():
    _, catalogue = lending.lived()
    fitted = fit_step([], catalogue, 0)
    model = assemble(fitted, fit_action([], 0), Thresholds(), tool_digests(lending.TOOLS))
    assert fitted.later.probability(np.zeros((1, 48), np.float32))[0] < 0.001
    assert model.facts.thresholds.eager is None


def test_rows_for_training_leave_the_tasks_own_cues_out():
    known, fitted = lending.lived()[0], lending.fitted()
    moment = next(
        moment for one in known for moment in one.moments if one.episode.task == "task3" and moment.keys
    )
    own = full_rows(moment, fitted.catalogue, fitted.cues, "task3")
    other = full_rows(moment, fitted.catalogue, fitted.cues, "a task nobody saw")
    assert own.shape == other.shape
    assert not np.array_equal(own[:, -4:], other[:, -4:]) or not any(moment.cues)
    assert np.array_equal(own[:, :-4], other[:, :-4])


def test_an_action_is_exact_when_what_is_likely_is_just_what_was_called():
    known, _ = lending.lived()
    one = known[0]
    moment = next(moment for moment in one.moments if moment.next.any())
    right = moment.next.astype(float)
    assert is_exact(Seen(one, moment, right, right))
    assert not is_exact(Seen(one, moment, right, right * 0.4))
    last = one.moments[-1]
    nothing = np.zeros(len(last.keys))
    assert is_exact(Seen(one, last, nothing, nothing))


def test_no_likely_call_is_no_action():
    seen = see(lending.fitted(), lending.lived()[0][:10])
    action = fit_action(seen, 0)
    quiet = [Seen(one.lived, one.moment, one.later * 0, one.next * 0) for one in seen]
    assert action_chances(action, quiet).tolist() == [0.0] * len(seen)
    assert action_chances(action, seen).max() > 0.5
