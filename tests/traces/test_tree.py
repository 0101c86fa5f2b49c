"""The tree of a run: which call stands where, and whose money it is."""

from trimtab.core import Decision, Plan, PlannedAttempt, Usage
from trimtab.store import Standing
from trimtab.traces import find_run, read_tree, read_tree_with_content

from .made import attempt, call, entry, keep, paid


def tree_of(database, read=read_tree):
    return read(database, find_run(database, "r1", None, Standing()))


def test_steps_come_in_the_order_they_began_and_add_up_to_the_run(database):
    plan, answer = call("c1", step="plan"), call("c2", at=2, step="answer")
    keep(
        database,
        plan,
        paid(plan, 10),
        answer,
        paid(answer, 20),
        entry("t", 5, at=3, kind="tool", step="plan"),
    )
    tree = tree_of(database)
    assert [(step.name, step.nanodollars, len(step.calls)) for step in tree.steps] == [
        ("plan", 15, 1),
        ("answer", 20, 1),
    ]
    assert sum(step.nanodollars for step in tree.steps) == tree.run.nanodollars == 35
    assert [line.kind for line in tree.steps[0].entries] == ["tool"]


def test_a_further_gateways_call_stands_under_the_call_it_served(database):
    outer = call("outer", step="s", nanodollars=30)
    inner = call("inner", at=0.1, step="s", parent="outer", nanodollars=30)
    keep(
        database, outer, paid(outer, 0, certainty="upstream", upstream_nanodollars=30), inner, paid(inner, 30)
    )
    tree = tree_of(database)
    (root,) = tree.steps[0].calls
    assert (root.record.call.id, root.nanodollars, root.upstream_nanodollars) == ("outer", 0, 30)
    assert [(node.record.call.id, node.nanodollars) for node in root.nested] == [("inner", 30)]
    assert tree.run.nanodollars == 30


def test_a_call_whose_parent_is_not_there_stands_alone(database):
    keep(database, call("c1", parent="elsewhere"))
    assert [node.record.call.id for node in tree_of(database).steps[0].calls] == ["c1"]


def test_circles_and_endless_chains_of_parents_lose_no_call(database):
    keep(database, call("a", parent="b"), call("b", at=1, parent="a"), call("self", at=2, parent="self"))
    keep(database, *[call(f"k{i:03}", at=10 + i, parent=f"k{i - 1:03}") for i in range(600)])

    def count(nodes):
        return sum(1 + count(node.nested) for node in nodes)

    assert count(tree_of(database).steps[0].calls) == 603


def test_a_step_whose_calls_serve_other_steps_is_still_charged(database):
    outer, inner = call("outer", step="plan"), call("inner", at=1, step="search", parent="outer")
    keep(database, outer, paid(outer, 1), inner, paid(inner, 2))
    assert {step.name: step.nanodollars for step in tree_of(database).steps} == {"plan": 1, "search": 2}


def test_decision_attempts_and_content_come_back_as_they_were_stored(database):
    record = call("c1", request=b'{"a":1}', reply=b"{}", task="t7", agent="bot")
    plan = Plan((PlannedAttempt("near", "m", reason="cheap"),))
    decision = Decision("cheapest", record.call, (), 0.5, plan, "r", ("1 of 2 offers fits",))
    tried = attempt("a1", outcome="failed", error="broke"), attempt("a2", usage=Usage(7, 3), nanodollars=9)
    record = call(
        "c1", request=b'{"a":1}', reply=b"{}", task="t7", agent="bot", decision=decision, attempts=tried
    )
    keep(database, record)
    node = tree_of(database, read_tree_with_content).steps[0].calls[0]
    assert node.record == record
    bare = tree_of(database).steps[0].calls[0].record
    assert (bare.decision, bare.attempts, bare.request, bare.reply) == (decision, tried, b"", b"")


def test_a_decision_of_an_older_shape_does_not_hide_its_call(database):
    keep(database, call("c1", step="s"))
    database.transact(lambda c: c.exec_driver_sql("UPDATE call SET decision = '{\"policy\": 7}'"))
    assert tree_of(database).steps[0].calls[0].record.decision is None
