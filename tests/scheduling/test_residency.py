"""What stays loaded: never beyond the places, never for less than it costs, never to and fro."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import Move, ResidencyRules, Resident, Reuse, Wish, free_in, move

NAMES = ("a", "b", "c", "d", "e")
LOAD, SAVED = 2.0, 2.0


def often(uses, now=0.0):
    reuse = Reuse()
    for _ in range(uses):
        reuse = reuse.used(now)
    return reuse


def resident(name="a", uses=10, since=-1000.0, busy=0):
    return Resident(name, often(uses), SAVED, LOAD, since, busy)


def wish(name="b", uses=10, nowhere=False):
    return Wish(name, often(uses), SAVED, LOAD, nowhere)


def test_an_empty_place_is_filled_when_it_saves_more_than_the_load_costs():
    assert move(wish(uses=10), [], 0.0, ResidencyRules()) == Move("b")
    assert move(wish(uses=1), [], 0.0, ResidencyRules()) is None


def test_what_nobody_else_can_serve_is_loaded_for_its_first_call():
    assert move(wish(uses=1, nowhere=True), [], 0.0, ResidencyRules()) == Move("b")


def test_equals_do_not_push_each_other_out():
    assert move(wish(uses=10), [resident(uses=10)], 0.0, ResidencyRules()) is None


def test_the_one_expected_to_save_least_leaves():
    kept, left = resident("a", uses=30), resident("c", uses=1)
    assert move(wish(uses=20), [kept, left], 0.0, ResidencyRules(slots=2)) == Move("b", "c")


def test_of_two_worth_the_same_the_least_recently_used_leaves():
    older = Resident("z", Reuse(0.0, -50.0), SAVED, LOAD, -1000.0)
    newer = Resident("a", Reuse(0.0, -5.0), SAVED, LOAD, -1000.0)
    assert move(wish(uses=20), [newer, older], 0.0, ResidencyRules(slots=2)) == Move("b", "z")


def test_nobody_leaves_while_it_is_used_or_has_just_come():
    assert move(wish(uses=99, nowhere=True), [resident(uses=0, busy=1)], 0.0, ResidencyRules()) is None
    assert move(wish(uses=99, nowhere=True), [resident(uses=0, since=-17.9)], 0.0, ResidencyRules()) is None
    assert move(wish(uses=99, nowhere=True), [resident(uses=0, since=-18.0)], 0.0, ResidencyRules())


def test_it_says_how_long_until_somebody_may_leave():
    rules = ResidencyRules(slots=2)
    assert free_in([resident(since=-10.0), resident("b", since=-16.0)], 0.0, rules) == 2.0
    assert free_in([resident(busy=2)], 0.0, rules) == float("inf")


def test_use_long_ago_counts_for_little():
    assert often(100).per_second(3000.0) < often(1).per_second(0.0)


CALLS = st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0.0, 30.0), st.booleans()), max_size=120)


@given(CALLS, st.integers(1, 3), st.floats(0.1, 10.0))
def test_places_are_never_exceeded_and_loading_never_takes_more_than_its_share(calls, slots, load):
    """Whatever calls come, in whatever order: the patience bounds the loads a place sees."""
    rules = ResidencyRules(slots=slots)
    now, loads = 0.0, 0
    reuses = dict.fromkeys(NAMES, Reuse())
    here = {}
    for name, gap, nowhere in calls:
        now += gap
        reuses[name] = reuses[name].used(now)
        if name in here:
            continue
        residents = [Resident(one, reuses[one], load, load, since) for one, since in here.items()]
        moved = move(Wish(name, reuses[name], load, load, nowhere), residents, now, rules)
        if moved is None:
            continue
        if moved.unload:
            assert now - here.pop(moved.unload) >= rules.patience * load
        assert moved.load not in here
        here[moved.load] = now
        loads += 1
        assert len(here) <= slots
    assert loads <= slots * (1 + now / (rules.patience * load))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0.0, 5.0)), min_size=1, max_size=4),
    st.integers(0, 80),
    st.floats(0.0, 5.0),
)
def test_a_load_by_choice_saves_more_than_it_costs(others, uses, saved):
    rules = ResidencyRules(slots=len(others))
    residents = [
        Resident(NAMES[at], often(times), worth, LOAD, -1000.0) for at, (times, worth) in enumerate(others)
    ]
    asked = Wish("new", often(uses), saved, LOAD)
    moved = move(asked, residents, 0.0, rules)
    if moved is not None:
        leaver = next(one for one in residents if one.name == moved.unload)
        lost = leaver.reuse.per_second(0.0) * rules.horizon_seconds * leaver.saved_seconds
        assert asked.reuse.per_second(0.0) * rules.horizon_seconds * saved > LOAD + lost


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_the_order_of_the_residents_decides_nothing(order, uses):
    residents = [resident(NAMES[at], uses[at]) for at in range(4)]
    rules = ResidencyRules(slots=4)
    asked = wish("new", uses=40)
    assert move(asked, [residents[at] for at in order], 0.0, rules) == move(asked, residents, 0.0, rules)
