"""Recorded calls under other settings."""

import pytest

from simulation.whatif.recorder import NOON, toml
from trimtab.budgets import KeyLimit
from trimtab.core import Usage

LARGE, SMALL = 3_500_000, 140_000  # nanodollars of 1,000 tokens in and 100 out
DAY = 86_400.0


def test_the_same_settings_move_nothing_and_cost_the_same(recorder):
    for number in range(5):
        recorder.call(number, run=f"r{number}")
    recorder.outcome(1.0, run="r0")
    recorder.tool(2.5, 777)
    report = recorder.under(toml())
    assert (report.calls, report.moved) == (5, 0)
    assert report.total.recorded_nanodollars == 5 * LARGE + 777
    cost = report.total.new_nanodollars
    assert cost.low == cost.likely == cost.high == 5 * LARGE + 777
    done = report.completions
    assert (done.completed, done.low, done.likely, done.high) == (1, 1, 1, 1)
    assert done.recorded_per_completed == done.per_completed_low == LARGE
    assert report.latency_new == report.latency_recorded


def test_a_cheaper_policy_moves_calls_to_answers_nobody_has_seen(recorder):
    recorder.call()
    recorder.outcome(1.0)
    report = recorder.under(toml("cheapest"))
    [move] = report.moves
    assert (move.before, move.after, move.calls, move.seen) == ("large at far", "small at near", 1, 0)
    cost = move.new_nanodollars
    assert cost.likely == SMALL
    assert cost.low == int(100_000 * 0.54 + 40_000 * 0.22)
    assert cost.high == int(100_000 * 1.84 + 40_000 * 4.22) + 1
    done = report.completions
    assert (done.touched, done.low, done.likely, done.high) == (1, 0, None, 1)
    assert done.per_completed_high is None
    assert report.latency_new.unknown == 1
    assert report.examples[0].seen is False


def test_another_price_moves_nothing_and_is_exact(recorder):
    recorder.call()
    recorder.call(1.0)
    report = recorder.under(toml(large=5.0))
    cost = report.total.new_nanodollars
    assert report.moved == 0
    assert cost.low == cost.likely == cost.high == 2 * 6_000_000


def test_attempts_made_in_fact_are_known(recorders):
    recorder = recorders(toml("climb"))
    recorder.call(outcomes=("rejected", "answered"))
    recorder.outcome(1.0)
    report = recorder.under(toml("large"))
    assert report.total.recorded_nanodollars == SMALL + LARGE
    assert report.total.new_nanodollars.low == report.total.new_nanodollars.high == LARGE
    assert (report.total.unseen, report.moved) == (0, 0)
    assert report.completions.low == 1


def test_a_reply_that_was_rejected_is_not_taken_for_good(recorders):
    recorder = recorders(toml("climb"))
    recorder.call(outcomes=("rejected", "answered"))
    recorder.outcome(1.0)
    report = recorder.under(toml("small"))
    assert report.total.new_nanodollars.high == SMALL
    assert (report.moved, report.total.unseen) == (1, 0)
    assert (report.completions.low, report.completions.high) == (0, 1)


def test_an_unseen_reply_that_is_verified_may_cost_the_next_rung_too(recorder):
    recorder.call()
    report = recorder.under(toml("climb"))
    cost = report.total.new_nanodollars
    assert cost.low < SMALL
    assert cost.likely == SMALL + LARGE
    assert cost.high > SMALL + LARGE
    assert report.completions.touched == 0


def test_runs_of_the_same_task_at_the_new_model_tell_how_runs_would_end(recorders, tmp_path):
    recorder = recorders(toml("climb"))
    for number in range(4):
        recorder.call(number, run=f"small{number}", task="t1")
        recorder.outcome(float(number < 3), run=f"small{number}")
    recorder.call(9, run="large", task="t1", outcomes=("rejected", "answered"))
    recorder.outcome(1.0, run="large")
    report = recorder.under(toml("small"))
    done = report.completions
    assert (done.completed, done.kept, done.touched) == (4, 3, 1)
    assert (done.matched.runs, done.matched.samples) == (1, 4)
    assert done.likely == pytest.approx(3.75)
    assert (done.low, done.high) == (3, 4)


def test_replies_of_both_models_at_a_step_bound_the_tokens(recorders):
    recorder = recorders(toml("climb"))
    for number in range(40):
        recorder.call(number, run=f"s{number}", usage=Usage(1000, 50))
        recorder.call(number, run=f"l{number}", usage=Usage(1000, 100), outcomes=("failed", "answered"))
    report = recorder.under(toml("large"))
    [move] = [line for line in report.moves if line.before == "small at near"]
    assert "recorded replies of both models" in move.tokens
    # Every reply of the large model was twice as long, and no longer or shorter.
    assert move.new_nanodollars.likely == 40 * LARGE
    assert move.new_nanodollars.high <= 40 * LARGE + 1


def test_a_context_that_is_too_short_is_a_refusal(recorder):
    recorder.call()
    report = recorder.under(toml("small", context=1000))
    [move] = report.moves
    assert move.after == "failed: no_capable_endpoint"
    assert (report.total.failed_recorded, report.total.failed_new) == (0, 1)
    assert report.total.new_nanodollars.high == 0


def test_a_model_that_is_not_served_is_a_refusal(recorder):
    recorder.call()
    text = toml().replace('name = "any"', 'name = "all"')
    assert recorder.under(text).moves[0].after == "failed: model_not_found"


def test_calls_after_a_new_refusal_may_not_have_been_made(recorder):
    # The first call's worst case fits, the second's does not.
    budget = '[[budget]]\nscope = "run"\nwindow = "run"\nlimit_usd = 0.0162\n'
    for number in range(3):
        recorder.call(10 * number)
    report = recorder.under(toml(more=budget))
    assert report.total.refused_new == 2
    assert report.moves[0].after == "refused: budget_exceeded"
    assert report.total.new_nanodollars.likely == LARGE


def test_budgets_are_filled_in_their_windows(recorder):
    # Worst case of a call: 4,000 tokens in, 500 out: 0.015 USD. One call a day fits.
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.018\n'
    for day in range(3):
        recorder.call(day * DAY, run=f"a{day}")
        recorder.call(day * DAY + 60, run=f"b{day}")
        recorder.call(day * DAY + 60, run=f"c{day}", tenant="other")
    report = recorder.under(toml(more=budget))
    refused = {line.value: line.refused_new for line in report.by["tenant"]}
    assert refused == {"acme": 3, "other": 0}
    assert report.total.new_nanodollars.likely == 6 * LARGE


def test_the_limits_of_keys_hold_under_any_settings(recorder):
    # At the recorded price all three fit into what the key may spend ever; at twice the price two do.
    limits = {"k": KeyLimit(32_000_000, "total")}
    for day in range(3):
        recorder.call(day * DAY, run=f"a{day}", key="k")
        recorder.call(day * DAY, run=f"b{day}", key="another")
    dearer = toml(large=5.0)
    report = recorder.under(dearer, limits)
    assert (report.calls, report.total.refused_new) == (6, 1)
    # What was spent before the replay counts.
    later = recorder.under(dearer, limits, since=NOON + DAY / 2)
    assert (later.calls, later.total.refused_new) == (4, 1)
    assert recorder.under(toml(), limits).total.refused_new == 0
    assert recorder.under(dearer).total.refused_new == 0


def test_what_was_spent_before_counts_in_an_open_window(recorder):
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.018\n'
    recorder.call(0.0, run="a")
    recorder.call(60.0, run="b")
    report = recorder.under(toml(more=budget), since=NOON + 30)
    assert (report.calls, report.total.refused_new) == (1, 1)
    assert recorder.under(toml(more=budget), since=NOON - 30).total.refused_new == 1


def test_refusals_stand_where_nothing_changed_and_fall_where_the_budget_grew(recorders):
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = {}\n'
    recorder = recorders(toml(more=budget.format(0.004)))
    recorder.call(0.0, run="a")
    recorder.call(10.0, run="b", refused=True)
    same = recorder.under(toml(more=budget.format(0.004)))
    assert (same.moved, same.total.refused_new) == (0, 1)
    more = recorder.under(toml(more=budget.format(4.0)))
    [move] = more.moves
    assert (move.before, move.after, move.seen) == ("refused: budget_exceeded", "large at far", 0)
    assert "no answer to go by" in move.tokens
    assert more.total.refused_new == 0


def test_a_rule_that_reads_what_is_left_sees_the_budget_of_the_replay(recorder):
    rules = """
[[rule]]
name = "save"
when = "remaining_usd < 0.995"
policy = "small"
[[budget]]
scope = "tenant"
window = "day"
limit_usd = 1.0
"""
    for number in range(4):
        recorder.call(10 * number)
    report = recorder.under(toml(more=rules))
    # After two large calls 0.993 USD are left.
    assert [(line.after, line.calls) for line in report.moves] == [("small at near", 2)]


def test_runs_that_began_before_are_left_out_of_completions(recorder):
    recorder.call(0.0, run="old")
    recorder.call(60.0, run="old")
    recorder.call(60.0, run="new")
    recorder.outcome(1.0, run="old")
    recorder.outcome(1.0, run="new")
    done = recorder.under(toml(), since=NOON + 30).completions
    assert (done.cut_off, done.known, done.completed) == (1, 1, 1)
    assert done.recorded_nanodollars == LARGE


def test_every_table_sums_to_the_whole(recorder):
    for number in range(30):
        recorder.call(number, run=f"r{number % 7}", step=f"s{number % 3}", tenant=f"t{number % 2}")
    report = recorder.under(toml("cheapest"))
    for lines in report.by.values():
        assert sum(line.calls for line in lines) == report.total.calls == 30
        assert sum(line.new_nanodollars.likely for line in lines) == report.total.new_nanodollars.likely
        assert sum(line.recorded_nanodollars for line in lines) == report.total.recorded_nanodollars
