import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import Breaker, BreakerRules, admits, after

RULES = BreakerRules(
    consecutive_failures=3,
    failure_ratio=0.5,
    min_calls=10,
    window_seconds=20.0,
    cooldown_seconds=5.0,
    cooldown_cap_seconds=12.0,
    probe_seconds=60.0,
)


def _run(*events, start=None, now=100.0, rules=RULES):
    breaker = start or Breaker()
    for event in events:
        breaker = after(breaker, event, now, rules)
    return breaker


def _open(now=100.0):
    return _run("failed", "failed", "failed", now=now)


def test_a_fresh_breaker_admits():
    assert admits(Breaker(), 0.0)


def test_failures_in_a_row_open_it():
    assert admits(_run("failed", "failed"), 100.0)
    assert not admits(_open(), 100.0)


def test_a_success_ends_the_row():
    assert _run("failed", "failed", "succeeded", "failed", "failed").state == "closed"


def test_a_share_of_failures_opens_it_once_there_are_enough_calls():
    mixed = ("succeeded", "failed") * 4
    assert _run(*mixed, "succeeded").state == "closed"
    assert _run(*mixed, "succeeded", "failed").state == "open"


def test_calls_older_than_the_window_do_not_count():
    old = _run(*("succeeded", "failed") * 4, now=100.0)
    assert _run("succeeded", "failed", start=old, now=109.0).state == "open"
    assert _run("succeeded", "failed", start=old, now=115.0).state == "open"
    assert _run("succeeded", "failed", start=old, now=121.0).state == "closed"


def test_after_the_cooldown_one_probe_at_a_time_passes():
    breaker = _open(now=100.0)
    assert not admits(breaker, 104.9)
    assert admits(breaker, 105.0)
    probing = _run("sent", start=breaker, now=105.0)
    assert probing.state == "half_open"
    assert not admits(probing, 105.0)


def test_a_probe_that_succeeds_closes_it():
    closed = _run("sent", "succeeded", start=_open(), now=105.0)
    assert closed.state == "closed"
    assert _run("failed", "failed", start=closed, now=106.0).state == "closed"


def test_each_probe_that_fails_doubles_the_cooldown_up_to_the_cap():
    breaker, now, waits = _open(), 100.0, []
    for _ in range(4):
        waits.append(breaker.until - now)
        now = breaker.until
        breaker = _run("sent", "failed", start=breaker, now=now)
    assert waits == [5.0, 10.0, 12.0, 12.0]


def test_a_probe_that_is_abandoned_frees_its_place():
    probing = _run("sent", start=_open(), now=105.0)
    assert admits(_run("abandoned", start=probing, now=106.0), 106.0)


def test_a_probe_that_is_lost_does_not_keep_it_half_open_for_ever():
    probing = _run("sent", start=_open(), now=105.0)
    assert not admits(probing, 164.0)
    assert admits(probing, 165.0)


def test_late_ends_of_earlier_attempts_change_nothing_while_it_is_open():
    breaker = _open()
    assert _run("succeeded", "failed", "abandoned", start=breaker, now=101.0) == breaker


def test_being_sent_or_abandoned_says_nothing_while_it_is_closed():
    assert _run("sent", "abandoned", "sent") == Breaker()


EVENTS = st.lists(
    st.tuples(st.sampled_from(("sent", "succeeded", "failed", "abandoned")), st.floats(0, 30)), max_size=60
)


@given(EVENTS)
def test_it_always_admits_again_in_the_end(events):
    breaker, now = Breaker(), 0.0
    for event, passed in events:
        now += passed
        if event != "sent" or admits(breaker, now):
            breaker = after(breaker, event, now, RULES)
    assert admits(breaker, now + RULES.probe_seconds + RULES.cooldown_cap_seconds)


@given(EVENTS)
def test_while_a_probe_is_out_no_second_one_passes(events):
    breaker, now = _open(), 100.0
    for event, passed in events:
        now += passed
        before = breaker
        breaker = after(breaker, event, now, RULES)
        if event == "sent" and before.state != "closed" and admits(before, now):
            assert not admits(breaker, now)


def test_rules_that_make_no_sense_are_refused():
    for wrong in ({"window_seconds": 0}, {"failure_ratio": 2}, {"min_calls": 0}, {"colldown_seconds": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, BreakerRules)
