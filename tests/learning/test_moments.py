from dataclasses import replace

import msgspec
import numpy as np
import pytest

from trimtab.controllers import NAMES, Scene, Tool, ToolCall, Turn, cues_of, find_candidates
from trimtab.learning.cue_counts import LEAST_TASKS, CueCounts
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import KNOWN, learn_catalogue, live_through, recipe_rates, standing_hits

from . import lending

TOOLS = (Tool("get", {}, read_only=True), Tool("put", {}))


def call(name, **arguments):
    return Turn("assistant", "", (ToolCall(name, arguments),))


def episode(*turns, task="t", tools=TOOLS):
    return Episode(f"run of {task}", "w", "a", task, 1.0, turns, (None,) * len(turns), tools)


def test_a_call_ahead_is_a_hit_until_something_is_written():
    known = episode(
        Turn("user", "x"), call("get", a=1), call("put"), call("get", a=2), Turn("assistant", "done")
    )
    one, two = ToolCall("get", {"a": 1}).key, ToolCall("get", {"a": 2}).key
    assert standing_hits(known) == [{one: 1}, {one: 1}, {}, {two: 3}, {}]


def test_calls_of_one_turn_that_stand_behind_its_write_do_not_count():
    both = Turn("assistant", "", (ToolCall("put", {}), ToolCall("get", {"a": 1})))
    assert standing_hits(episode(Turn("user", "x"), both)) == [{}, {}]


def test_of_a_call_made_twice_the_first_turn_counts():
    known = episode(call("get", a=1), call("get", a=1))
    assert standing_hits(known)[0] == {ToolCall("get", {"a": 1}).key: 0}


def test_a_moment_stands_for_each_reply_a_model_was_asked_for():
    known, _ = lending.lived()
    for one in known:
        assert [moment.reply for moment in one.moments] == list(one.episode.calls)


def test_a_moment_knows_what_came_next_and_later():
    known, _ = lending.lived()
    opening = known[0].moments[0]
    assert opening.next.sum() == 1
    assert opening.tools[int(opening.next.argmax())] in ("find_member", "find_by_name")
    assert (opening.next <= opening.later).all()


def test_a_moment_sees_only_what_came_before_it():
    one = lending.episodes()[3]
    _, catalogue = lending.lived()
    whole = live_through(one, catalogue).moments
    for at, moment in enumerate(whole):
        turns = (*one.turns[: moment.reply], Turn("assistant", "bye"))
        cut = Episode(one.id, one.workflow, one.agent, one.task, 0.0, turns, (None,) * len(turns), one.tools)
        again = live_through(cut, catalogue).moments[at]
        assert again.keys == moment.keys
        assert again.cues == moment.cues
        assert np.array_equal(again.rows, moment.rows)


def test_training_sees_the_features_that_serving_sees():
    model = lending.trained()
    one = lending.episode(701)
    _, catalogue = lending.lived()
    known = live_through(one, catalogue)
    allowed = dict.fromkeys(one.read_only, True)
    for moment in known.moments:
        scene = Scene.of(one.turns[: moment.reply], one.read_only)
        scored = model.score(scene, allowed, "clerk")
        assert tuple(each.candidate.call.key for each in scored) == moment.keys
        if scored:
            rows = np.array([each.row for each in scored])
            rates = [NAMES.index("rate_later"), NAMES.index("rate_next")]
            seen = [at for at in range(KNOWN) if at not in rates]
            assert np.array_equal(rows[:, seen], moment.rows[:, seen])
            found = find_candidates(catalogue.recipes, scene.pantry, allowed)
            assert tuple(cues_of(each, scene) for each in found) == moment.cues


def test_a_catalogue_holds_no_recipe_of_constants_alone():
    episodes = [episode(Turn("user", f"hi AB1{n}"), call("get", mode="full"), task=f"t{n}") for n in range(9)]
    assert learn_catalogue(episodes, ["a"]).recipes == ()


def test_a_catalogue_holds_no_recipe_of_a_tool_that_writes():
    known, catalogue = lending.lived()
    assert known
    assert {recipe.tool for recipe in catalogue.recipes} == set(lending.READ_ONLY)
    assert "renew_loan" in catalogue.tools


def test_a_catalogue_drops_recipes_that_hardly_ever_come_true():
    listed = [" ".join(f"AB{n}{m:02}" for m in range(60)) for n in range(4)]
    rest = [
        episode(Turn("user", text), call("get", id=f"AB{n}07"), task=f"t{n}") for n, text in enumerate(listed)
    ]
    assert learn_catalogue(rest, ["a"]).recipes == ()


def test_rates_are_shares_of_what_was_offered():
    turns = (Turn("user", "AB12 or CD34"), call("get", id="AB12"), Turn("tool", "x"), Turn("assistant", "ok"))
    recipe = next(one for one in lending.lived()[1].recipes if one.tool == "find_member")
    made = msgspec.convert(
        {"tool": "get", "ingredients": [{"argument": "id", "source": "user:X4"}]}, type(recipe)
    )
    assert recipe_rates([episode(*turns)], [made]) == [pytest.approx((1 / 4, 1 / 4))]


# Cue counts.


def counts():
    known, catalogue = lending.lived()
    return known, catalogue, CueCounts(known, len(catalogue.recipes))


def test_cue_scores_leave_the_own_task_out():
    known, catalogue, all_of_them = counts()
    for task in ("task0", "task7"):
        others = CueCounts([one for one in known if one.episode.task != task], len(catalogue.recipes))
        for moment in (moment for one in known if one.episode.task == task for moment in one.moments):
            for recipe, tokens in zip(moment.recipes.tolist(), moment.cues, strict=True):
                mine = all_of_them.scores(recipe, tokens, task)
                # The base rate is that of all tasks: a task's share in it is small.
                assert mine == pytest.approx(others.scores(recipe, tokens, task), abs=0.35)


def test_what_only_one_task_said_weighs_nothing_for_it():
    known, catalogue = lending.lived()
    first = known[0]
    marked = [
        replace(moment, cues=tuple(cues | {"secret"} for cues in moment.cues)) for moment in first.moments
    ]
    again = CueCounts([replace(first, moments=tuple(marked)), *known[1:]], len(catalogue.recipes))
    recipe = int(first.moments[0].recipes[0])
    assert again.scores(recipe, frozenset({"secret"}), first.episode.task) == (0.0, 0.0)
    assert not any("secret" in weights for table in again.tables() for weights in table.weights)


def test_a_served_table_scores_as_training_does_for_a_task_nobody_saw():
    known, _, made = counts()
    tables = made.tables()
    for one in known[:6]:
        for moment in one.moments:
            for recipe, tokens in zip(moment.recipes.tolist(), moment.cues, strict=True):
                served = tuple(table.score(recipe, tokens) for table in tables)
                assert made.scores(recipe, tokens, "a task nobody saw") == pytest.approx(served, abs=1e-9)


def test_served_tokens_were_met_in_several_tasks():
    known, _, made = counts()
    for table in made.tables():
        for recipe, weights in enumerate(table.weights):
            for token in weights:
                tasks = {
                    one.episode.task
                    for one in known
                    for moment in one.moments
                    if any(
                        token in cues
                        for cues, of in zip(moment.cues, moment.recipes.tolist(), strict=True)
                        if of == recipe
                    )
                }
                assert len(tasks) >= LEAST_TASKS
