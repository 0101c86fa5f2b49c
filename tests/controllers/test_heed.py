"""What keeps an answer from being followed."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.controllers import (
    OWN_CALL,
    Answer,
    Conversation,
    Question,
    Terms,
    Tool,
    ToolCall,
    Turn,
    heeded,
    tool_digest,
)
from trimtab.controllers.heed import turns_in_a_row

from .tiny import manifest

READ, WRITE = Tool("read", {"type": "object"}, read_only=True), Tool("write", {"type": "object"})


def question(turns=(), terms=None):
    return Question(Conversation((Turn("user", "Hi"), *turns), (READ, WRITE)), terms=terms or Terms())


def answer(*calls, confidence=0.99):
    return Answer("", "", "step", "?", confidence, False, calls)


def own(number):
    calls = (ToolCall("read", {"n": number}, f"{OWN_CALL}{number}"),)
    return (Turn("assistant", "", calls), Turn("tool", "{}", tool_call_id=f"{OWN_CALL}{number}"))


def test_a_lookup_is_followed():
    said = heeded(answer(ToolCall("read", {"n": 1})), question(), manifest())
    assert (said.abstained, said.option) == (False, "read")


def test_a_write_is_followed_only_where_it_is_allowed():
    write = answer(ToolCall("write", {}))
    assert heeded(write, question(), manifest()).abstained
    assert not heeded(write, question(terms=Terms(frozenset(["write"]))), manifest()).abstained


def test_a_changed_tool_makes_only_its_own_calls_abstain():
    known = {"read": "other", "write": tool_digest(WRITE)}
    terms = Terms(frozenset(["write"]))
    assert heeded(answer(ToolCall("read", {})), question(terms=terms), manifest(tools=known)).abstained
    assert not heeded(answer(ToolCall("write", {})), question(terms=terms), manifest(tools=known)).abstained


def test_a_digest_does_not_depend_on_how_a_schema_is_written():
    one = Tool("t", {"type": "object", "properties": {"a": {}, "b": {}}})
    other = Tool("t", {"properties": {"b": {}, "a": {}}, "type": "object"}, "Described anew.")
    assert tool_digest(one) == tool_digest(other)
    assert tool_digest(one) != tool_digest(Tool("t", {"type": "object"}))


def test_what_was_called_is_not_called_again_whatever_the_order_of_arguments():
    made = Turn("assistant", "", (ToolCall("read", {"a": 1, "b": 2}, "x"),))
    again = ToolCall("read", {"b": 2, "a": 1})
    assert heeded(answer(again), question([made]), manifest()).abstained
    both = answer(again, ToolCall("read", {"c": 3}))
    assert [call.arguments for call in heeded(both, question([made]), manifest()).calls] == [{"c": 3}]
    assert heeded(both, question([made], Terms(eager=False)), manifest()).abstained


def test_turns_in_a_row_are_counted_from_the_end_and_broken_by_the_user_or_the_model():
    turns = [*own(1), *own(2)]
    assert turns_in_a_row(question(turns).conversation) == 2
    assert turns_in_a_row(question([*turns, Turn("user", "And?")]).conversation) == 0
    assert turns_in_a_row(question([Turn("assistant", "Well."), *own(3)]).conversation) == 1


def test_too_many_turns_in_a_row_are_the_models():
    turns = [each for number in range(8) for each in own(number)]
    call = answer(ToolCall("read", {"n": 99}))
    assert heeded(call, question(turns), manifest()).abstained
    assert not heeded(call, question(turns[2:]), manifest()).abstained


@given(
    st.lists(st.tuples(st.sampled_from(["read", "write", "other"]), st.integers(0, 3)), max_size=4),
    st.lists(st.tuples(st.sampled_from(["read", "write"]), st.integers(0, 3)), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_ever_called_that_may_not_be(wanted, made, eager, one_call):
    history = [Turn("assistant", "", (ToolCall(name, {"n": n}, "x"),)) for name, n in made]
    calls = tuple(ToolCall(name, {"n": n}) for name, n in wanted)
    said = heeded(answer(*calls), question(history, Terms(eager=eager, one_call=one_call)), manifest())
    assert said.abstained == (not said.calls)
    assert all(call.name == "read" for call in said.calls)
    keys = [call.key for call in said.calls]
    assert len(set(keys)) == len(keys)
    assert not {(call.name, call.arguments["n"]) for call in said.calls} & set(made)
    assert not one_call or len(keys) <= 1
