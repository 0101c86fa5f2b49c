"""Silence is judged by what was seen without a gap, not by comparing clocks."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.ledger.vigil import Vigil

LEASE = 6.0


def looks(vigil, times, beats):
    """Look at each time with the same beats; what the last look found silent."""
    found = {}
    for now in times:
        found = vigil.look(beats, now)
    return found


def seconds(begin, end):
    return [begin + number / 2 for number in range(int((end - begin) * 2) + 1)]


def test_a_beat_that_stays_the_same_for_a_lease_is_silence():
    vigil = Vigil(LEASE)
    assert looks(vigil, seconds(0, 6), {"p": 1e9}) == {}
    assert vigil.look({"p": 1e9}, 6.5) == {"p": 1e9}


def test_the_first_look_at_an_old_beat_proves_nothing():
    """A process that has just come up does not bury those it knows nothing of."""
    assert Vigil(LEASE).look({"p": 0.0}, 1e9) == {}


def test_a_clock_that_is_wrong_by_hours_does_no_harm():
    vigil = Vigil(LEASE)
    for number, now in enumerate(seconds(0, 60)):
        assert vigil.look({"p": -1e6 + number}, now) == {}


def test_a_gap_begins_the_wait_anew():
    """The database was away for all, or this process was stopped: nobody is to be blamed for that silence."""
    vigil = Vigil(LEASE)
    looks(vigil, seconds(0, 5), {"p": 1.0})
    assert looks(vigil, seconds(30, 36), {"p": 1.0}) == {}
    assert vigil.look({"p": 1.0}, 36.5) == {"p": 1.0}


def test_a_process_that_left_is_forgotten():
    vigil = Vigil(LEASE)
    looks(vigil, seconds(0, 5), {"p": 1.0})
    vigil.look({}, 5.5)
    assert looks(vigil, seconds(6, 11), {"p": 1.0}) == {}


@given(st.lists(st.tuples(st.floats(0.1, 1.9), st.booleans()), max_size=60))
def test_only_a_whole_lease_of_the_same_beat_is_silence(steps):
    vigil, now, beat, since = Vigil(LEASE), 0.0, 0, 0.0
    vigil.look({"p": 0}, now)
    for step, beats in steps:
        now += step
        if beats:
            beat, since = beat + 1, now
        assert bool(vigil.look({"p": beat}, now)) == (now - since > LEASE)
