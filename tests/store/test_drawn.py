"""What was drawn for a run stands with the run: by the first of its calls that says so, in whatever order they come."""

import itertools

import msgspec
import pytest
from sqlalchemy import text

from store.moving import downgrade
from traces.made import START, call, keep, outcome, paid
from trimtab.core import Decision, Offer, Price, Rates
from trimtab.routing import build_policy
from trimtab.store import Selection, Standing, drawn, migrate

CALL = call("c").call


def routed(id, at=0.0, policy="lot", weights=None, down=(), **more):
    """A call of a run, planned as the policy plans among two models of which some are `down`."""
    offers = tuple(
        Offer(name, name, Price((Rates(1, 1),)), 1, 1, available=name not in down)
        for name in ("small", "large")
    )
    rule = ("weighted", {"weights": weights}) if weights else ("pinned", {"model": "large"})
    plan = build_policy(*rule).choose(CALL, offers, 0.5)
    return call(id, at, decision=Decision(policy, CALL, offers, 0.5, plan), **more)


def told(database, *policies, most=100):
    rows = database.transact(
        lambda c: drawn.newest(c, Selection(), Standing(), policies or ("lot", "other"), most)
    )
    return {row.id: (row.policy, row.model, row.weight) for row in rows}


def of_a_run(run="r1"):
    """Calls of a run of which the second and third say what was drawn."""
    yield routed("c1", 1.0, "other", {"gone": 1.0}, run=run)
    yield routed("c2", 2.0, "lot", {"small": 3.0}, ("small",), run=run)
    yield routed("c3", 3.0, "lot", {"large": 9.0}, run=run)
    yield call("c4", 0.5, run=run)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_the_first_call_that_says_what_was_drawn_has_it(database, order):
    calls = list(of_a_run())
    for number in order:
        keep(database, calls[number])
    keep(database, outcome(1.0))
    assert told(database) == {"r1": ("lot", "small", "3")}


def test_calls_that_are_written_together_are_told_as_apart(database):
    keep(database, *reversed(list(of_a_run())), outcome(1.0))
    assert told(database) == {"r1": ("lot", "small", "3")}


def test_a_run_of_which_no_call_says_what_was_drawn_names_its_first_policy(database):
    keep(database, routed("c2", 2.0, "lot", {"gone": 1.0}), routed("c1", 1.0, "other", {"gone": 1.0}))
    keep(database, outcome(1.0))
    assert told(database) == {"r1": ("other", "", "")}


def test_only_runs_of_the_named_policies_with_an_outcome_are_found_the_latest_first(database):
    for number in range(6):
        policy = "pinned" if number == 3 else "lot"
        weights = None if number == 3 else {"small": 1.0}
        made = routed(f"c{number}", number, policy, weights, run=f"r{number}", task="t")
        said = [] if number == 4 else [outcome(number % 2, run=f"r{number}")]
        keep(database, made, paid(made, 7), *said)
    rows = database.transact(lambda c: drawn.newest(c, Selection(), Standing(), ("lot",), 4))
    assert [row.id for row in rows] == ["r5", "r2", "r1"]
    assert msgspec.structs.asdict(rows[0]) == {
        "tenant": "acme", "id": "r5", "task": "t", "started_at": START + 5, "completed": True, "nanodollars": 7,
        "unpriced": 0, "policy": "lot", "model": "small", "weight": "1",
    }  # fmt: skip


def test_an_older_database_is_told_what_was_drawn_as_it_is_brought_up_to_date(database):
    first, *rest = (
        msgspec.structs.replace(each, call=_named(each.call, f"x{each.call.id}")) for each in of_a_run()
    )
    # More than are read at once lie between a run's calls, whose ids need not sort as they came.
    between = [call(f"m{number:04d}", run="many", decision=None) for number in range(5_100)]
    keep(database, *of_a_run("r2"), *between, first, *rest, outcome(1.0), outcome(1.0, run="r2"))
    keep(database, routed("a9", 9.0, "lot", {"large": 4.0}))
    keep(database, routed("z1", 2.0, "lot", {"gone": 1.0}, run="blind"), outcome(1.0, run="blind"))
    keep(database, routed("z2", run="set", policy="pinned"), outcome(1.0, run="set"))
    before = told(database, "lot", "other", "pinned")
    assert before == {
        "r1": ("lot", "small", "3"), "r2": ("lot", "small", "3"), "blind": ("lot", "", ""), "set": ("pinned", "", ""),
    }  # fmt: skip
    downgrade(database, "0006")
    migrate(database)
    assert told(database, "lot", "other", "pinned") == before


ODD = (
    b'{"plan": "weight "',
    b'["weight "]',
    b'{"plan": {"attempts": [{"reason": null, "model": "weight "}]}}',
    b'{"plan": {"attempts": [{"reason": "weight 1"}]}}',
    b'{"plan": {"attempts": [{"reason": "weight class: heavy", "model": "m"}]}}',
    b'{"plan": {"attempts": [{"reason": "weight 1e", "model": "m"}]}}',
    b'{"plan": {"attempts": [{"reason": "weight 3-4", "model": "m"}]}}',
    b'{"plan": {"attempts": [{"reason": "weight 1", "model": 3}]}}',
    rb'{"plan": {"attempts": [{"reason": "weight 1", "model": "\ud800"}]}}',
    b'"weight \xff"',
    b"[" * 100_000 + b'"weight ',
)


def test_decisions_that_nobody_can_read_do_not_stop_an_upgrade(database):
    for number, _ in enumerate(ODD):
        keep(database, routed(f"c{number}", run=f"r{number}"), outcome(1.0, run=f"r{number}"))
    nul = rb'{"plan": {"attempts": [{"reason": "weight 2, unavailable", "model": "sm\u0000all"}]}}'
    keep(database, routed("nul", run="nul"), outcome(1.0, run="nul"))
    downgrade(database, "0006")
    said = [{"id": f"c{number}", "decision": odd} for number, odd in enumerate(ODD)]
    said.append({"id": "nul", "decision": nul})
    change = text("UPDATE call SET decision = :decision WHERE id = :id")
    database.transact(lambda c: c.execute(change, said))
    migrate(database)
    rest = {f"r{number}": ("lot", "", "") for number in range(len(ODD))}
    assert told(database) == {"nul": ("lot", "small", "2")} | rest


def _named(facts, id):
    return msgspec.structs.replace(facts, id=id)
