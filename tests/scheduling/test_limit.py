"""The limit on calls at once: shrinks on a queue in the engine, grows while it binds, stays within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import Limit, LimitRules

RULES = LimitRules(least=2, most=64)


def test_a_wait_in_the_engine_shrinks_it_once_and_calm_use_grows_it():
    shrunk = Limit(40.0).after(3.0, 20, 100.0, RULES)
    assert shrunk == Limit(18.0, 100.0)
    assert shrunk.after(3.0, 18, 101.0, RULES) is shrunk
    assert shrunk.after(0.0, 18, 101.0, RULES).level > shrunk.level
    assert shrunk.after(0.0, 5, 101.0, RULES) is shrunk


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 100), st.floats(0, 5)), max_size=100))
def test_it_stays_within_its_bounds(seen):
    limit, now = Limit(64.0), 0.0
    for waited, outstanding, gap in seen:
        now += gap
        limit = limit.after(waited, outstanding, now, RULES)
        assert 2 <= limit.calls <= 64
