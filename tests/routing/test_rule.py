import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import Attribution, Call
from trimtab.core.errors import ConfigError
from trimtab.routing import VARIABLES, CallFacts, Rule, RuleBook

SUNDAY_NOON = 1_767_528_000.0  # 4 January 2026, 12:00 UTC


def _facts(remaining_usd=None, **more):
    who = Attribution("acme", "r1", "ann", "k1", "triage", "classify", agent="bot", task="t1")
    call = {
        "id": "c1",
        "at": SUNDAY_NOON,
        "surface": "chat",
        "model": "m",
        "who": who,
        "input_tokens": 2000,
        "max_output_tokens": 200,
        "stream": True,
        "tools": ("search", "book"),
        "priority": 3,
    }
    facts = CallFacts(Call(**(call | more)))
    return facts if remaining_usd is None else CallFacts(facts.call, remaining_usd)


def _holds(when, facts=None):
    match = RuleBook([Rule("r", when)]).match(facts or _facts())
    assert match.faults == ()
    return match.rule is not None


@pytest.mark.parametrize(
    "when",
    [
        'tenant == "acme" && user == "ann" && key == "k1"',
        'workflow == "triage" && step == "classify" && agent == "bot" && task == "t1"',
        'controller.route == ""',
        'model == "m" && surface == "chat" && stream && priority == 3',
        "tokens > 400 && tokens < 600 && max_output_tokens == 200",
        '"book" in tools && size(tools) == 2',
        'tools.exists(name, name.startsWith("sea"))',
        "hour == 12 && weekday == 7",
        "remaining_usd > 1000000",
        "true",
    ],
)
def test_every_variable_can_be_read(when):
    assert _holds(when)


def test_what_is_left_of_a_budget_can_be_asked_for():
    assert _holds("remaining_usd < 5", _facts(remaining_usd=4.99))
    assert not _holds("remaining_usd < 5", _facts(remaining_usd=5.0))


@pytest.mark.parametrize(("days", "weekday"), [(0, 7), (1, 1), (2, 2), (6, 6), (7, 7)])
def test_weekdays_count_from_monday(days, weekday):
    assert _holds(f"weekday == {weekday}", _facts(at=SUNDAY_NOON + days * 86400))


def test_the_first_rule_that_holds_wins():
    first, second = Rule("first", "tokens > 100", "cheapest"), Rule("second", "tokens > 10")
    book = RuleBook([first, second])
    assert book.match(_facts()).rule is first
    assert book.match(_facts(input_tokens=200)).rule is second
    assert book.match(_facts(input_tokens=20)).rule is None


def test_a_rule_without_a_condition_matches_every_call():
    rule = Rule("all")
    assert RuleBook([rule]).match(_facts()).rule is rule


def test_a_rule_that_fails_on_a_call_is_passed_over_and_reported():
    failing, sound = Rule("failing", "tools[1] == 'book'"), Rule("sound", "tokens > 0")
    book = RuleBook([failing, sound])
    assert book.match(_facts()).rule is failing
    match = book.match(_facts(tools=()))
    assert match.rule is sound
    assert [fault.rule for fault in match.faults] == ["failing"]
    assert "out of bounds" in match.faults[0].reason


def test_a_result_that_is_neither_true_nor_false_on_a_call_is_reported():
    match = RuleBook([Rule("r", "tokens == 250 ? true : dyn(user)")]).match(_facts())
    assert match.rule is None
    assert "expected true or false" in match.faults[0].reason


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("tenant == ", "line 1, column 11: Syntax error"),
        ("tokens >\n  > 5", "line 2, column 3: Syntax error"),
        ("tenan == 'acme'", "line 1, column 1: unknown variable 'tenan'"),
        ("tokens > 1 && usr == 'a'", "column 15: unknown variable 'usr'"),
        ("tools.exists(t, t == other)", "column 22: unknown variable 'other'"),
        ("user == '.map(zz, 1)' && zz", "column 26: unknown variable 'zz'"),
        ("lower(tenant) == 'acme'", "column 1: unknown function 'lower'; known functions: bytes, contains"),
        ("tokens == 0 || nosuch(user)", "column 16: unknown function 'nosuch'"),
        ("tokens > 'many'", "No such overload"),
        ("!tenant", "No such overload"),
        ("tokens", "expected true or false, the result is 250"),
        ("user.matches('(')", "not a valid regex"),
        ("", "Syntax error"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_with_what_is_wrong(when, said):
    with pytest.raises(ConfigError) as refused:
        RuleBook([Rule("mine", when)])
    text = str(refused.value)
    assert refused.value.key == "rule.mine.when"
    assert said in text
    assert repr(when) in text
    assert "known variables: agent, controller, hour, key" in text


def test_names_that_macros_bind_are_no_unknown_variables():
    assert _holds("tools.all(t, tools.exists(u, u == t)) && tools.map(x, size(x)).size() == 2")


def test_a_macro_may_bind_the_name_of_a_variable_that_is_read_as_well():
    assert _holds("tools.exists(user, user == 'book') && user == 'ann'")


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two rules are named 'r'"):
        RuleBook([Rule("r"), Rule("r")])


@given(st.text(), st.integers(0, 2**31), st.lists(st.text(), max_size=4), st.floats(allow_nan=False))
def test_matching_never_raises(user, tokens, tools, remaining):
    who = Attribution("acme", "r1", user)
    facts = _facts(remaining_usd=remaining, who=who, input_tokens=tokens, tools=tuple(tools))
    RuleBook(
        [
            Rule("a", "100 / tokens > 1"),
            Rule("b", "tools[0] == user"),
            Rule("c", "int(user) > 5"),
            Rule("d", "tokens * 9223372036854775807 > 5"),
            Rule("e", "remaining_usd / 0.0 > 5.0 && user == 'nobody'"),
        ]
    ).match(facts)


def test_a_name_that_is_no_text_is_reported_and_harms_no_other_rule():
    facts = _facts(who=Attribution("acme", "r1", "\ud800"))
    match = RuleBook([Rule("user", "user == 'ann'"), Rule("tenant", "tenant == 'acme'")]).match(facts)
    assert match.rule is not None
    assert match.rule.name == "tenant"
    assert [fault.rule for fault in match.faults] == ["user"]


def test_the_variables_are_the_documented_ones():
    assert set(VARIABLES) == set(
        [
            "tenant",
            "user",
            "key",
            "workflow",
            "step",
            "model",
            "agent",
            "controller",
            "task",
            "tokens",
            "max_output_tokens",
            "tools",
            "stream",
            "hour",
            "weekday",
            "remaining_usd",
            "priority",
            "surface",
        ]
    )
