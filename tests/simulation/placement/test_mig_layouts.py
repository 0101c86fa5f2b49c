"""The legal MIG layouts."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trimtab.simulation.placement import KINDS
from trimtab.simulation.placement.gpus import COMPUTE_SLICES, CUTS, MEMORY_SLICES
from trimtab.simulation.placement.layouts import fits, layouts


def test_the_layouts_without_the_double_memory_profile_are_those_of_the_user_guide():
    plain = {tuple(sorted(each.counts.elements())) for each in layouts() if "1g+" not in each.counts}
    assert plain == {
        ("1g",) * 7,
        ("1g",) * 5 + ("2g",),
        ("1g",) * 3 + ("2g",) * 2,
        ("1g",) + ("2g",) * 3,
        ("1g",) * 4 + ("3g",),
        ("1g",) * 2 + ("2g", "3g"),
        ("2g", "2g", "3g"),
        ("3g", "3g"),
        ("1g",) * 3 + ("4g",),
        ("1g", "2g", "4g"),
        ("3g", "4g"),
    }


def test_no_layout_takes_more_slices_than_there_are_or_one_twice():
    for layout in layouts():
        taken = [each.start + at for each in layout.instances for at in range(CUTS[each.cut].memory)]
        assert len(set(taken)) == len(taken)
        assert max(taken) < MEMORY_SLICES
        assert sum(CUTS[each.cut].compute for each in layout.instances) <= COMPUTE_SLICES
        assert all(each.start in CUTS[each.cut].starts for each in layout.instances)


@given(st.lists(st.sampled_from(list(CUTS)), min_size=1, max_size=8))
def test_what_fits_fits_in_slices_too(cuts):
    if fits(Counter(cuts)) is not None:
        assert sum(CUTS[each].memory for each in cuts) <= MEMORY_SLICES
        assert sum(CUTS[each].compute for each in cuts) <= COMPUTE_SLICES


def test_instances_of_a_gpu_never_have_more_memory_than_it_has():
    for kind in KINDS.values():
        by_cut = {profile.cut: profile.memory_gib for profile in kind.profiles}
        for layout in layouts() if by_cut else ():
            assert sum(by_cut[each.cut] for each in layout.instances) <= kind.memory_gib
