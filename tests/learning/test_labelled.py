"""Splits of labelled texts: by group, and never so that what picks a model sets its thresholds."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.learning.labelled import Labelled, deal, tuning

ROWS = st.lists(
    st.builds(Labelled, st.text("abc", min_size=1, max_size=3), st.sampled_from("xy"), st.sampled_from("pqrs")),
    min_size=1,
    max_size=40,
)  # fmt: skip


@given(ROWS, st.integers(0, 9))
def test_no_group_both_picks_the_model_and_sets_its_thresholds(rows, seed):
    held, tune = tuning(rows, seed)
    assert sorted((*held, *tune), key=repr) == sorted(rows, key=repr)
    assert held
    assert {each.group for each in held}.isdisjoint(each.group for each in tune)
    assert bool(tune) == (len({each.group for each in rows}) > 1)


@given(ROWS, st.integers(0, 9))
def test_a_deal_holds_something_back_however_few_groups_a_label_has(rows, seed):
    kept, held = deal(rows, 0.01, seed)
    assert held
    assert len(kept) + len(held) == len(rows)


def test_a_third_of_the_groups_of_every_label_is_for_picking():
    rows = [Labelled(str(at), "xy"[at % 2], str(at)) for at in range(60)]
    held, tune = tuning(rows, 0)
    assert (len(held), len(tune)) == (40, 20)
    assert [sum(each.label == label for each in tune) for label in "xy"] == [10, 10]
