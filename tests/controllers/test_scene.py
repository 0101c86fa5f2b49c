import pytest

from trimtab.controllers import Scene, ToolCall, Turn
from trimtab.controllers.question import OWN_CALL
from trimtab.controllers.scene import words

READS = frozenset({"get", "find"})


def call(name, id="c1", **arguments):
    return Turn("assistant", "", (ToolCall(name, arguments, id),))


def result(text, id="c1"):
    return Turn("tool", text, tool_call_id=id)


def scene(*turns):
    return Scene.of(turns, READS)


def test_a_result_is_named_after_the_call_it_answers():
    assert list(scene(call("get"), result('{"id": "u1"}')).pantry.by_source) == ["get.id"]


def test_a_result_of_no_known_call_is_named_after_none():
    assert list(scene(result('{"id": "u1"}')).pantry.by_source) == [".id"]


def test_results_of_a_turn_with_several_calls_are_told_apart():
    both = Turn("assistant", "", (ToolCall("get", {}, "c1"), ToolCall("find", {}, "c2")))
    known = scene(both, result('{"id": "u2"}', "c2"), result('{"id": "u1"}', "c1")).pantry.by_source
    assert {source: values[0].text for source, values in known.items()} == {"find.id": "u2", "get.id": "u1"}


def test_a_call_stands_until_something_is_written():
    assert set(scene(call("get", a=1), call("find", b=2)).standing) == {'get {"a":1}', 'find {"b":2}'}
    assert scene(call("get", a=1), call("put")).standing == {}
    assert scene(call("get", a=1), call("unknown")).standing == {}


def test_a_controllers_own_reading_call_is_free_again_after_a_write_and_its_writing_call_never():
    own = OWN_CALL + "_1"
    assert scene(call("get", own, a=1)).own == {'get {"a":1}'}
    assert scene(call("get", own, a=1), call("put", "c2")).own == set()
    assert scene(
        call("put", own, a=1), call("put", "c2", a=2), call("put", own, a=3), call("put", "c3")
    ).own == {
        'put {"a":1}',
        'put {"a":3}',
    }


def test_calls_of_the_model_are_not_the_controllers_own():
    assert scene(call("get", a=1)).own == set()


@pytest.mark.parametrize("text", ["Error: no such user", '{"error": "x"}', "User not found", "NOT FOUND"])
def test_a_failure_is_noted_with_its_turn(text):
    known = scene(call("get"), result(text))
    assert known.last_failed
    assert known.failures == {1}


def test_counts_follow_the_turns():
    known = scene(
        *(
            Turn("system", "be kind"),
            Turn("user", "I am Mia"),
            call("get", a=1),
            result("u1"),
            call("get", a=1),
        ),
        *(result("u1"), Turn("assistant", "Done."), Turn("user", "thanks")),
    )
    assert (known.turns, known.user_turns, known.reply_turns, known.writes) == (8, 2, 1, 0)
    assert (known.calls_of["get"], known.calls_of_since["get"], known.repeats) == (2, 0, 2)
    assert (known.first_user, known.last_user, known.last_speaker) == ("I am Mia", "thanks", "user")


def test_adding_turn_by_turn_gives_what_all_at_once_gives():
    turns = (
        Turn("user", "I am Mia, AB12"),
        call("get", a=1),
        result('{"id": "u1"}'),
        call("put"),
        Turn("user", "ok"),
    )
    whole, grown = scene(*turns), Scene(READS)
    for turn in turns:
        grown.add(turn)
    told = [{name: value for name, value in vars(one).items() if name != "pantry"} for one in (whole, grown)]
    assert repr(told[0]) == repr(told[1])
    assert whole.pantry.by_source == grown.pantry.by_source


def test_words_are_those_of_any_alphabet_in_lower_case():
    assert words("Ordre São-Paulo mia.li@mail.example МИР _x_") == {
        *("ordre", "são-paulo", "mia.li@mail.example", "мир", "x"),
    }
