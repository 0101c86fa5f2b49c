import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.controllers import Ingredient, Pantry, Recipe, Turn, find_candidates, values_of_turn
from trimtab.controllers.candidates import MOST_A_RECIPE


def pantry(*turns):
    """Of (speaker, text) pairs; a tool's name stands for the speaker `tool`."""
    kept = Pantry()
    for number, (speaker, text) in enumerate(turns):
        told = "user" if speaker == "user" else "tool"
        text = text if isinstance(text, str) else json.dumps(text)
        for value in values_of_turn(Turn(told, text), number, speaker):
            kept.add(value)
    return kept


def recipe(*parts, bound="free", chain=(), tool="get"):
    return Recipe(tool, tuple(Ingredient(name, source) for name, source in parts), bound, chain)


def arguments(recipes, kept, allowed=None):
    found = find_candidates(recipes, kept, allowed or {"get": True})
    return [candidate.call.arguments for candidate in found]


NAMED = (("first", "user:Aa"), ("last", "user:Aa"), ("zip", "user:95"))
FLIGHT = (("number", "search.flights[].number"), ("day", "search.flights[].day"))
FLIGHTS = {"flights": [{"number": "HAT001", "day": "05-12"}, {"number": "HAT002", "day": "05-13"}]}


def test_a_value_is_copied_from_its_source_newest_first():
    kept = pantry(("user", "I have AB12"), ("user", "no, CD34"))
    assert arguments([recipe(("id", "user:X4"))], kept) == [{"id": "CD34"}, {"id": "AB12"}]


def test_a_prefix_is_put_before_what_the_user_left_out():
    made = Recipe("get", (Ingredient("id", "user:X8", "#"),))
    assert arguments([made], pantry(("user", "W1234567"))) == [{"id": "#W1234567"}]


def test_a_number_stays_a_number():
    assert arguments([recipe(("n", "search.n"))], pantry(("search", {"n": 7}))) == [{"n": 7}]


def test_only_allowed_tools_are_filled():
    kept = pantry(("user", "AB12"))
    recipes = [recipe(("id", "user:X4")), recipe(("id", "user:X4"), tool="put")]
    assert [one.call.name for one in find_candidates(recipes, kept, {"get": True, "put": False})] == ["get"]
    assert list(find_candidates(recipes, kept, {})) == []


def test_what_stands_nowhere_makes_no_call():
    assert arguments([recipe(("id", "user:X4"), ("n", "search.n"))], pantry(("user", "AB12"))) == []


def test_a_call_is_offered_once_and_the_earlier_recipe_has_it():
    kept = pantry(("user", "AB12"), ("search", {"id": "AB12"}))
    found = list(
        find_candidates([recipe(("id", "search.id")), recipe(("id", "user:X4"))], kept, {"get": True})
    )
    assert [(one.recipe, one.values[0].source) for one in found] == [(0, "search.id")]


def test_names_that_follow_each_other_are_a_pair_and_others_are_not():
    kept = pantry(("user", "Hello, Mia Garcia Lopez here, not Bo, zip 90210"))
    pairs = [
        (one["first"], one["last"])
        for one in arguments([recipe(*NAMED, bound="turn", chain=((0, 1),))], kept)
    ]
    assert pairs == [("Garcia", "Lopez"), ("Mia", "Garcia")]


def test_a_pair_is_not_torn_by_more_than_a_space():
    kept = pantry(("user", "I am Mia, Garcia 90210"))
    assert arguments([recipe(*NAMED, bound="turn", chain=((0, 1),))], kept) == []


def test_values_bound_to_a_turn_do_not_mix_two_turns():
    kept = pantry(("user", "I am Mia Li, zip 90210"), ("user", "sorry, Bo Li, zip 10001"))
    found = arguments([recipe(*NAMED, bound="turn", chain=((0, 1),))], kept)
    assert [(one["first"], one["zip"]) for one in found] == [("Bo", "10001"), ("Mia", "90210")]


def test_values_bound_to_a_place_are_of_one_object():
    found = arguments([recipe(*FLIGHT, bound="place")], pantry(("search", FLIGHTS)))
    assert found == [{"number": "HAT002", "day": "05-13"}, {"number": "HAT001", "day": "05-12"}]


def test_free_values_are_combined_from_the_newest_few():
    listed = {"flights": [{"number": f"HAT{number}", "day": f"05-{number}"} for number in range(10, 40)]}
    assert len(arguments([recipe(*FLIGHT)], pantry(("search", listed)))) == 16


def test_a_constant_goes_with_what_is_copied():
    made = Recipe("get", (Ingredient("id", "user:X4"), Ingredient("mode", constant='"full"')))
    assert arguments([made], pantry(("user", "AB12"))) == [{"id": "AB12", "mode": "full"}]


def test_a_tool_without_arguments_can_always_be_called():
    assert arguments([Recipe("get", ())], pantry()) == [{}]


def test_of_one_recipe_so_many_calls_are_offered_and_no_more():
    kept = pantry(("user", " ".join(f"AB{number}" for number in range(100, 400))))
    assert len(arguments([recipe(("id", "user:X5"))], kept)) == MOST_A_RECIPE


@pytest.mark.parametrize("bound", ["turn", "place", "free"])
@pytest.mark.parametrize(
    "text",
    [
        *("Ab " * 6_000 + "90210", "Ab, " * 5_000 + "90210", "Ab " + "90210 " * 3_000),
        *("Ab 90210 " * 2_000, " ".join(f"A{'b' * (n % 30)} {n:05}" for n in range(1_500))),
    ],
)
def test_a_flood_of_names_takes_a_blink(text, bound):
    kept = pantry(("user", text), ("user", text))
    begun = time.thread_time()
    found = arguments([recipe(*NAMED, bound=bound, chain=((0, 1),))], kept)
    assert time.thread_time() - begun < 0.5
    assert len(found) <= MOST_A_RECIPE


def test_a_flood_of_triples_takes_a_blink():
    kept = pantry(("user", "Ab Cd Ef, " * 500))
    triples = recipe(
        ("a", "user:Aa"), ("b", "user:Aa"), ("c", "user:Aa"), bound="turn", chain=((0, 1), (1, 2))
    )
    begun = time.thread_time()
    arguments([triples], kept)
    assert time.thread_time() - begun < 0.5


def test_a_pair_is_found_before_a_flood_of_names():
    names = ", ".join("A" + chr(97 + n % 26) + chr(97 + n // 26) for n in range(300))
    kept = pantry(("user", f"Mia Garcia 90210, {names}"))
    found = arguments([recipe(*NAMED, bound="turn", chain=((0, 1),))], kept)
    assert found == [{"first": "Mia", "last": "Garcia", "zip": "90210"}]


def test_what_is_said_in_words_fills_an_argument_in_its_fixed_form():
    made = recipe(("day", "user:=date"), ("people", "user:=number"))
    kept = pantry(("user", "a table for two"), ("user", "on 8 May 2021"))
    assert arguments([made], kept) == [{"day": "2021-05-08", "people": "2"}]


def test_the_day_the_system_tells_dates_what_is_said_after_it():
    kept = Pantry(values_of_turn(Turn("system", "Today is 2019-03-01."), 0, ""))
    for value in values_of_turn(Turn("user", "tomorrow"), 1, ""):
        kept.add(value)
    assert arguments([recipe(("day", "user:=date"))], kept) == [{"day": "2019-03-02"}]


def test_a_known_value_fills_an_argument_only_where_a_message_says_it():
    made = Recipe("get", (Ingredient("kind", options=("checking", "savings")),))
    assert arguments([made], pantry(("user", "my Savings please"))) == [{"kind": "savings"}]
    assert arguments([made], pantry(("user", "my account"))) == []
    assert arguments([made], pantry(("search", {"kind": "savings"}))) == []


def test_the_newest_known_value_comes_first():
    made = Recipe("get", (Ingredient("kind", options=("checking", "savings")),))
    kept = pantry(("user", "savings"), ("user", "no, checking"))
    assert arguments([made], kept) == [{"kind": "checking"}, {"kind": "savings"}]


def test_two_arguments_never_take_the_same_words():
    cities = ("Paris", "Rome")
    made = Recipe("get", (Ingredient("a", options=cities), Ingredient("b", options=cities)))
    assert arguments([made], pantry(("user", "Paris"))) == []
    found = arguments([made], pantry(("user", "from Paris to Rome")))
    assert found == [{"a": "Rome", "b": "Paris"}, {"a": "Paris", "b": "Rome"}]


def test_a_flood_of_spoken_values_takes_a_blink():
    kept = pantry(*(("user", "on 8 May 2021 in Paris at 7 pm for two, " * 400) for _ in range(30)))
    parts = tuple(Ingredient(name, f"user:={name}") for name in ("date", "time", "number", "name"))
    made = Recipe("get", (*parts, Ingredient("city", options=("Paris", "Rome"))))
    begun = time.thread_time()
    arguments([made] * 20, kept)
    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize(
    "broken",
    [
        {"tool": "get", "ingredients": [{"argument": "a"}]},
        {"tool": "get", "ingredients": [{"argument": "a", "source": "x", "constant": "1"}]},
        {"tool": "get", "ingredients": [{"argument": "a", "constant": "{"}]},
        {"tool": "get", "ingredients": [{"argument": "a", "source": "x", "options": ["y"]}]},
        {"tool": "get", "ingredients": [{"argument": "a", "source": "x"}], "chain": [[0, 1]]},
        {"tool": "get", "ingredients": [{"argument": "a", "source": "x"}], "chain": [[-1, 0]]},
        {"tool": "get", "ingredients": [], "bound": "loose"},
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_when_it_is_read(broken):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(broken, Recipe)


SOURCES = st.sampled_from(
    ["user:Aa", "user:X4", "user:95", "search.id", "search.rows[].id", "search.rows[].n", "search$"]
)
RECIPES = st.builds(
    lambda sources, bound, chained: recipe(
        *((f"a{number}", source) for number, source in enumerate(sources)),
        bound=bound,
        chain=tuple((at, at + 1) for at in range(len(sources) - 1)) if chained else (),
    ),
    st.lists(SOURCES, max_size=4),
    st.sampled_from(["place", "turn", "free"]),
    st.booleans(),
)
TURNS = st.lists(
    st.tuples(st.just("user"), st.text("Ab1 C2,@", max_size=60) | st.text(max_size=60))
    | st.tuples(
        st.just("search"),
        st.fixed_dictionaries({"id": st.integers() | st.text(max_size=9)}, optional={"rows": st.lists(
            st.fixed_dictionaries({"id": st.text("AB1", max_size=5), "n": st.integers(0, 9)}), max_size=6)}),
    ),
    max_size=5,
)  # fmt: skip


@given(st.lists(RECIPES, max_size=3), TURNS)
def test_whatever_was_said_arguments_are_copies_and_calls_differ(recipes, turns):
    kept = pantry(*turns)
    found = list(find_candidates(recipes, kept, {"get": True}))
    known = {msgspec.json.encode(value.json) for values in kept.by_source.values() for value in values}
    assert len({one.call.key for one in found}) == len(found) <= MOST_A_RECIPE * len(recipes)
    for one in found:
        assert all(msgspec.json.encode(given) in known for given in one.call.arguments.values())
        made = recipes[one.recipe]
        assert set(one.call.arguments) == {part.argument for part in made.ingredients}
        if made.bound != "free" and len(one.values) > 1:
            assert len({value.turn for value in one.values}) == 1
        if made.bound == "place" and len(one.values) > 1:
            assert len({value.place for value in one.values}) == 1
