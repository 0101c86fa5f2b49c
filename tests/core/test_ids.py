"""Ids sort by time and do not repeat."""

from trimtab.core import IdSource


def test_ids_sort_by_their_moment():
    source = IdSource()
    moments = [0.0, 1.0, 1.25, 1_760_000_000.0, 1_760_000_000.25, 4_000_000_000.0]
    made = [source.new(moment) for moment in moments]
    assert made == sorted(made)
    assert {len(id) for id in made} == {26}


def test_ids_of_one_moment_differ():
    source = IdSource()
    assert len({source.new(1.0) for _ in range(5000)}) == 5000
