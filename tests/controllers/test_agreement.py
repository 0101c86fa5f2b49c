"""Did the model do the same, now or later."""

from trimtab.controllers import Agreement, Conversation, Tool, ToolCall, Turn

READ, WRITE = Tool("read", {}, read_only=True), Tool("write", {})
A, B, W = ToolCall("read", {"n": 1}), ToolCall("read", {"n": 2}), ToolCall("write", {})


def told(*calls):
    turns = (Turn("user", "Hi"), *(Turn("assistant", "", (call,)) for call in calls))
    return Conversation(turns, (READ, WRITE))


def outcomes(agreement, *calls):
    return [judged.agreed for judged in agreement.settle("acme", "r", told(*calls))]


def test_a_lookup_made_ahead_is_agreed_upon_when_the_model_comes_to_it():
    agreement = Agreement()
    assert list(agreement.expect("acme", "r", [B], 3, seen=1)) == []
    assert outcomes(agreement, A) == []
    assert outcomes(agreement, A, B) == [True]
    assert outcomes(agreement, A, B) == []


def test_after_a_write_it_would_have_been_stale():
    agreement = Agreement()
    list(agreement.expect("acme", "r", [B], 3, seen=1))
    assert outcomes(agreement, A, W, B) == [False]


def test_it_is_told_whether_the_model_or_the_champion_made_the_call():
    own = ToolCall("read", {"n": 2}, "call_tt7")
    agreement = Agreement()
    for made, mode in ((B, "shadow"), (own, "champion")):
        list(agreement.expect("acme", "r", [B], 3, 1, "shadow"))
        assert [each.mode for each in agreement.settle("acme", "r", told(A, made))] == [mode]
    list(agreement.expect("acme", "r", [B], 3, 1, "champion"))
    assert [each.mode for each in agreement.give_up("acme", "r")] == ["champion"]


def test_what_never_comes_is_not_agreed_upon():
    agreement = Agreement()
    list(agreement.expect("acme", "r", [B], 3, seen=1))
    assert outcomes(agreement, A) == []
    assert [judged.agreed for judged in agreement.give_up("acme", "r")] == [False]


def test_runs_of_others_are_theirs_and_memory_is_bounded():
    agreement = Agreement()
    list(agreement.expect("acme", "r", [B], 3, seen=1))
    assert list(agreement.settle("globex", "r", told(A, B))) == []
    lost = [list(agreement.expect("acme", str(n), [B], 3, seen=1)) for n in range(1_000)]
    assert sum(map(len, lost)) == 1
