from trimtab.controllers import Ingredient, ToolCall, Turn, values_of_turn
from trimtab.learning.recipes import Example, learn_recipes

from . import lending


def example(task, call, *turns):
    """A call after turns of (speaker, text); a tool's name stands for its speaker."""
    values = [
        value
        for number, (speaker, text) in enumerate(turns)
        for value in values_of_turn(Turn("user" if speaker == "user" else "tool", text), number, speaker)
    ]
    return Example(call, values, task)


def get(**arguments):
    return ToolCall("get", arguments)


def sources(recipes):
    return [[part.source or part.constant for part in recipe.ingredients] for recipe in recipes]


def test_an_argument_is_traced_to_the_source_most_tasks_share():
    told = [
        example(f"t{n}", get(id=f"AB1{n}"), ("user", f"it is AB1{n}"), ("list", f'["AB1{n}"]'))
        for n in range(3)
    ]
    listed = [example(f"u{n}", get(id=f"CD2{n}"), ("list", f'["CD2{n}"]')) for n in range(4)]
    assert sources(learn_recipes([*told, *listed])) == [["list[]"]]


def test_what_the_first_recipe_leaves_gets_a_second():
    told = [example(f"t{n}", get(id=f"AB1{n}"), ("user", f"it is AB1{n}")) for n in range(3)]
    listed = [example(f"u{n}", get(id=f"CD2{n}"), ("list", f'["CD2{n}"]')) for n in range(4)]
    found = learn_recipes([*told, *listed])
    assert sources(found) == [["list[]"], ["user:X4"]]
    assert [recipe.support for recipe in found] == [4, 3]


def test_one_task_alone_teaches_nothing_however_often_it_was_run():
    assert learn_recipes([example("t", get(id="AB12"), ("user", "AB12"))] * 9) == ()


def test_a_value_that_stood_nowhere_teaches_nothing():
    assert learn_recipes([example(f"t{n}", get(id=f"AB1{n}"), ("user", "hello")) for n in range(5)]) == ()


def test_a_constant_needs_many_tasks():
    def calls(tasks):
        return [
            example(f"t{n}", get(id=f"AB1{n}", mode="full"), ("user", f"it is AB1{n}")) for n in range(tasks)
        ]

    assert sources(learn_recipes(calls(4))) == [["user:X4", '"full"']]
    assert learn_recipes(calls(3)) == ()


def test_recipes_hold_no_value_of_any_run():
    held = repr(lending.trained().facts)
    for one in range(40):
        desk = lending.Desk(one)
        assert not any(secret in held for secret in (desk.member, desk.card, desk.names["zip"], desk.wanted))


def test_a_prefix_that_the_user_left_out_is_learned():
    made = [example(f"t{n}", get(id=f"#W123456{n}"), ("user", f"order W123456{n}")) for n in range(3)]
    assert learn_recipes(made)[0].ingredients == (Ingredient("id", "user:X8", "#"),)


def test_a_letter_is_no_prefix():
    assert learn_recipes([example(f"t{n}", get(id=f"X{n}5"), ("user", f"{n}5")) for n in range(3)]) == ()


def test_a_number_and_its_digits_are_two_things():
    assert learn_recipes([example(f"t{n}", get(n=70 + n), ("user", f"{70 + n}")) for n in range(3)]) == ()
    assert learn_recipes([example(f"t{n}", get(n=70 + n), ("list", f"[{70 + n}]")) for n in range(3)])


def test_arguments_of_one_object_are_bound_to_their_place():
    made = [
        example(
            f"t{n}", get(id=f"AB1{n}", day=f"05-1{n}"), ("list", f'[{{"id": "AB1{n}", "day": "05-1{n}"}}]')
        )
        for n in range(3)
    ]
    (recipe,) = learn_recipes(made)
    assert (recipe.bound, recipe.chain) == ("place", ())


def test_arguments_of_two_turns_are_free():
    made = [
        example(f"t{n}", get(id=f"AB1{n}", zip=f"1000{n}"), ("user", f"AB1{n}"), ("user", f"1000{n}"))
        for n in range(3)
    ]
    assert learn_recipes(made)[0].bound == "free"


def test_names_beside_each_other_are_chained():
    recipe = next(one for one in lending.trained().facts.catalogue.recipes if one.tool == "find_by_name")
    assert [part.argument for part in recipe.ingredients] == ["first_name", "last_name", "zip"]
    assert recipe.chain == ((0, 1),)


def test_a_tool_without_arguments_has_a_recipe_without_ingredients():
    made = [example(f"t{n}", get(), ("user", "hi")) for n in range(2)]
    (recipe,) = learn_recipes(made)
    assert (recipe.ingredients, recipe.support) == ((), 2)


def test_the_order_of_examples_does_not_matter():
    made = [
        example(f"t{n % 4}", get(id=f"AB1{n}"), ("user", f"AB1{n}"), ("list", f'["AB1{n}"]'))
        for n in range(9)
    ]
    assert learn_recipes(made) == learn_recipes(reversed(made))


def test_values_that_many_tasks_shared_are_known_and_used_only_where_they_are_said():
    cities = ("Paris", "Rome", "Oslo")
    made = [
        example(f"t{n}", get(city=cities[n % 3]), ("user", f"to {cities[n % 3].lower()}")) for n in range(12)
    ]
    (recipe,) = learn_recipes(made)
    assert recipe.ingredients == (Ingredient("city", options=("Oslo", "Paris", "Rome")),)
    assert learn_recipes([example("t", get(city="Paris"), ("user", "paris"))] * 9) == ()


def test_arguments_of_one_kind_know_what_any_of_them_was_seen_with():
    seen = {
        "fly": ("Oslo", "Paris", "Rome"),
        "stay": ("Bonn", "Oslo", "Paris", "Rome"),
        "paint": ("Blue", "Red"),
    }
    made = [
        example(f"{tool}{n}", ToolCall(tool, {"at": value}), ("user", f"it is {value.lower()}"))
        for tool, values in seen.items()
        for value in values
        for n in range(4)
    ]
    known = {recipe.tool: recipe.ingredients[0].options for recipe in learn_recipes(made)}
    assert known == {"fly": seen["stay"], "stay": seen["stay"], "paint": seen["paint"]}


def test_identifiers_and_numbers_are_never_known_values():
    made = [example(f"t{n}", get(id="mia_li_12"), ("user", "it is mia_li_12 again")) for n in range(9)]
    assert all(not part.options for recipe in learn_recipes(made) for part in recipe.ingredients)


def test_what_was_said_in_words_explains_an_argument():
    made = [
        example(f"t{n}", get(day=f"2021-05-0{n}"), ("user", f"on the {n}th of may 2021")) for n in range(4, 9)
    ]
    (recipe,) = learn_recipes(made)
    assert recipe.ingredients == (Ingredient("day", "user:=date"),)
