from dataclasses import replace

import numpy as np
from tests.learning.test_step_judge import ONE, run

from trimtab.controllers import Thresholds, Turn
from trimtab.learning.moments import KNOWN
from trimtab.learning.step_fit import Seen
from trimtab.learning.step_thresholds import calibrate, choose_thresholds, eager_emits, tally_eager

WORDS = Turn("assistant", "done")


def told(number, agent, chance, comes):
    """A run of this agent whose one reply makes the offered call or does not, with the chance a model gave it."""
    (one,) = run([ONE] if comes else WORDS, offered=(ONE,), chances=[[chance]])
    episode = replace(one.lived.episode, id=f"{agent} {number}", task=f"task {number % 12}", agent=agent)
    moment = replace(one.moment, rows=np.zeros((1, KNOWN), np.float32))
    return Seen(replace(one.lived, episode=episode), moment, one.later, one.next)


def runs(agent, share, count=120, chance=0.9):
    return [told(number, agent, chance, comes=number % 100 < 100 * share) for number in range(count)]


def test_who_keeps_the_promise_speaks():
    seen = runs("steady", 1.0) + runs("unlikely", 0.0, chance=0.3)
    thresholds = choose_thresholds(seen, 0.97, 0.98, 0)
    assert thresholds.eager is not None
    tally = tally_eager(seen, eager_emits(thresholds, thresholds.eager))
    assert (tally.emitted, tally.precision) == (120, 1.0)


def test_who_cannot_keep_it_never_speaks():
    thresholds = choose_thresholds(runs("whimsical", 0.7), 0.97, 0.98, 0)
    assert (thresholds.eager, thresholds.exact) == (None, None)


def test_an_agent_whose_calls_do_not_come_is_not_answered_for():
    seen = runs("steady", 1.0) + runs("whimsical", 0.5)
    thresholds = choose_thresholds(seen, 0.97, 0.98, 0)
    emits = eager_emits(thresholds, thresholds.eager)
    by_agent = {name: tally_eager([one for one in seen if one.lived.episode.agent == name], emits)
                for name in ("steady", "whimsical")}  # fmt: skip
    assert by_agent["steady"].emitted > 100
    assert by_agent["whimsical"].emitted == 0


def test_an_agent_that_was_not_met_has_no_offset():
    thresholds = calibrate(runs("steady", 1.0) + runs("whimsical", 0.5))
    likely = np.array([0.9])
    known = {
        name: thresholds.chances(likely, likely, ["get"], name)[0] for name in ("steady", "whimsical", "new")
    }
    assert known["whimsical"] < known["new"] < known["steady"]


def test_more_likely_never_means_less_sure():
    seen = runs("a", 0.9, chance=0.5) + runs("a", 0.6, chance=0.95)
    thresholds = calibrate(seen)
    assert min(thresholds.weights[:2]) >= 0
    low, high = thresholds.chances(np.array([0.5, 0.95]), np.array([0.5, 0.95]), ["get", "get"], "a")
    assert low <= high


def test_too_little_to_judge_by_means_silence():
    assert choose_thresholds(runs("steady", 1.0, count=10), 0.97, 0.98, 0).eager is None
    assert calibrate([]).chances(np.zeros(0), np.zeros(0), [], "steady").shape == (0,)


def test_whole_actions_are_answered_where_enough_of_them_were_right():
    enough, short = runs("steady", 1.0, count=40), runs("steady", 1.0, count=39)
    assert choose_thresholds(enough, 0.97, 0.98, 0).exact is not None
    assert choose_thresholds(short, 0.97, 0.98, 0).exact is None


def test_what_the_chances_expected_counts_beside_what_came_true():
    seen = runs("steady", 1.0)
    assert tally_eager(seen, lambda one, at: 0.5).expected_precision == 0.5
    assert tally_eager(seen, lambda one, at: 0.0).expected_precision == 1.0


def test_luck_beyond_what_was_expected_does_not_keep_a_promise(monkeypatch):
    seen = runs("steady", 1.0)
    doubtful = Thresholds(weights=(1.0, 0.0, 0.0))
    monkeypatch.setattr("trimtab.learning.step_thresholds.calibrate", lambda seen: doubtful)
    assert choose_thresholds(seen, 0.97, 0.98, 0).eager is None
