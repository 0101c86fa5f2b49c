"""Runs as lines of chat: what was said, what it cost, and that no cost is told twice or lost."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.core import Usage
from trimtab.store import EndRecord, Selection, Standing, runs
from trimtab.traces import Exporter, cost_report

from .made import START, call, chat_bytes, entry, keep, outcome, paid, reply_bytes, tool_call

HI, HOW = {"role": "user", "content": "hi"}, {"role": "user", "content": "how?"}
TOOLS = [{"type": "function", "function": {"name": "look"}}]


def exported(database, **selection):
    exporter = Exporter(database, Standing(), {})
    return [json.loads(line) for line in exporter.lines(Selection(**selection), "openai")]


def two_turns(database, **more):
    """A run: a question, a tool call and its result, an answer."""
    ask = reply_bytes(None, [tool_call("t1", "look", '{"in": "Bern"}')])
    first = call("c1", at=0.5, request=chat_bytes([HI], tools=TOOLS), reply=ask, step="plan", **more)
    asked = {"role": "assistant", "content": None, "tool_calls": [tool_call("t1", "look", '{"in":"Bern"}')]}
    result = {"role": "tool", "tool_call_id": "t1", "content": "rain"}
    second = call(
        "c2", at=2, seconds=0.25, request=chat_bytes([HI, asked, result], tools=TOOLS), reply=reply_bytes("It rains."),
        usage=Usage(200, 20, 50), first_token_seconds=0.125, endpoint="far", step="answer", **more,
    )  # fmt: skip
    keep(database, first, paid(first, 1_500_000), second, paid(second, 7))
    return first, second


def test_a_run_is_told_with_what_each_reply_cost_in_its_place(database):
    two_turns(database, task="t7", agent="m", workflow="weather", user="ann")
    keep(
        database, outcome(1.0), entry("tool:acme:r1:t1", 250, at=2, kind="tool", model="look", step="answer")
    )
    (line,) = exported(database)
    user, asked, result, answer = line.pop("messages")
    assert line == {
        "agent": "m",
        "domain": "weather",
        "task": "t7",
        "trial": 0,
        "reward": 1.0,
        "agent_cost_usd": 0.001500257,
        "duration_s": 1.75,
        "end": "",
        "run": "r1",
        "thread": 0,
        "tenant": "acme",
        "user": "ann",
        "started_at": START + 0.5,
        "tools": TOOLS,
    }
    assert user == HI | {"t": 0.0}
    assert asked == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "t1", "name": "look", "arguments": {"in": "Bern"}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        "cost_usd": 0.0015,
        "t": 1.0,
        "step": "plan",
        "endpoint": "near",
        "seconds": 1.0,
    }
    assert result == {
        "role": "tool", "content": "rain", "tool_call_id": "t1", "t": 1.5, "cost_usd": 2.5e-7, "step": "answer",
    }  # fmt: skip
    assert answer == {
        "role": "assistant",
        "content": "It rains.",
        "usage": {"prompt_tokens": 200, "completion_tokens": 20, "cached_tokens": 50},
        "cost_usd": 7e-9,
        "t": 1.75,
        "step": "answer",
        "endpoint": "far",
        "seconds": 0.25,
        "first_token_s": 0.125,
    }


def test_money_is_written_exactly(database):
    record = call("c1", request=chat_bytes([HI]), reply=reply_bytes("x"))
    keep(database, record, paid(record, 123_456_789_987_654_321))
    (raw,) = Exporter(database, Standing(), {}).lines(Selection(), "openai")
    assert b'"agent_cost_usd":123456789.987654321,' in raw


def test_parallel_conversations_are_lines_of_their_own_and_share_the_cost(database):
    one = call("c1", request=chat_bytes([HI]), reply=reply_bytes("a"))
    two = call("c2", at=1, request=chat_bytes([HOW]), reply=reply_bytes("b"))
    keep(
        database, one, paid(one, 10), two, paid(two, 20), entry("tool", 5, at=1, kind="tool", model="search")
    )
    first, second = exported(database)
    assert (first["thread"], first["agent_cost_usd"]) == (0, 1.5e-8)
    assert (second["thread"], second["agent_cost_usd"]) == (1, 2e-8)
    assert first["entries"] == [
        {"kind": "tool", "what": "search", "cost_usd": 5e-9, "t": 1.0, "endpoint": "near"}
    ]
    assert "entries" not in second


def test_what_failed_attempts_cost_is_told_apart(database):
    failed = call("c1", status="failed", request=chat_bytes([HI]), step="s")
    record = call("c2", at=1, request=chat_bytes([HI]), reply=reply_bytes("x"))
    keep(database, failed, paid(failed, 50, certainty="worst_case"), record, paid(record, 10))
    (line,) = exported(database)
    assert line["agent_cost_usd"] == 6e-8
    assert (
        line["entries"][0] | {"certainty": "estimated", "step": "s", "cost_usd": 5e-8} == line["entries"][0]
    )


def test_retries_of_a_call_are_part_of_what_its_reply_cost(database):
    record = call("c1", request=chat_bytes([HI]), reply=reply_bytes("x"))
    keep(database, record, entry("first-try", 3, call="c1", certainty="estimated"), paid(record, 10))
    (line,) = exported(database)
    reply = line["messages"][-1]
    assert (reply["cost_usd"], reply["certainty"]) == (1.3e-8, "estimated")


def test_an_unknown_price_is_no_price(database):
    record = call("c1", request=chat_bytes([HI]), reply=reply_bytes("x"))
    keep(database, record, paid(record, 0, certainty="unpriced"))
    (line,) = exported(database)
    assert line["agent_cost_usd"] is None
    assert "cost_usd" not in line["messages"][-1]
    assert line["messages"][-1]["usage"] == {"prompt_tokens": 100, "completion_tokens": 10}


def test_usage_nobody_told_is_no_usage(database):
    record = call("c1", request=chat_bytes([HI]), reply=reply_bytes("x"), usage=Usage())
    keep(database, record, paid(record, 9, certainty="estimated"))
    assert "usage" not in exported(database)[0]["messages"][-1]


def test_money_another_gateway_charged_is_told_once(databases):
    content = {"request": chat_bytes([HI]), "reply": reply_bytes("x")}
    outer = call("outer", nanodollars=30, **content)
    inner = call("inner", at=0.1, parent="outer", nanodollars=30, **content)
    charged = paid(outer, 0, certainty="upstream", upstream_nanodollars=30)
    apart, together, dropped = databases("apart"), databases("together"), databases("dropped")
    keep(apart, outer, charged)
    keep(together, outer, charged, inner, paid(inner, 30))
    keep(
        dropped,
        call("outer", nanodollars=30),
        charged,
        call("inner", parent="outer", nanodollars=30),
        paid(inner, 30),
    )
    for database in (apart, together, dropped):
        assert [line["agent_cost_usd"] for line in exported(database)] == [3e-8]


def test_a_run_whose_content_was_dropped_keeps_its_costs(database):
    record = call("c1", step="s", model="big")
    keep(database, record, paid(record, 10))
    (line,) = exported(database)
    assert (line["messages"], line["agent"], line["agent_cost_usd"]) == ([], "big", 1e-8)
    assert "not kept" in line["note"]
    assert line["entries"][0]["usage"] == {"prompt_tokens": 100, "completion_tokens": 10}


def test_a_run_that_its_client_ended_says_so(database):
    two_turns(database)
    database.transact(lambda c: runs.end(c, [EndRecord("acme", "r1", START)]))
    assert exported(database)[0]["end"] == "ended"


def test_repeated_runs_of_a_task_are_numbered_in_the_order_they_began(database):
    for at, run in enumerate(("z", "a", "m")):
        keep(database, call(f"c-{run}", at=at, run=run, task="same"))
    keep(database, call("c-else", at=9, run="else", task="other"))
    assert [(line["run"], line["trial"]) for line in exported(database)] == [
        ("z", 0),
        ("a", 1),
        ("m", 2),
        ("else", 0),
    ]


def test_more_runs_than_a_page_are_exported_each_once(either):
    keep(either, *[call(f"c{i:03}", run=f"r{i:03}", at=i % 3) for i in range(250)])
    assert sorted(line["run"] for line in exported(either)) == [f"r{i:03}" for i in range(250)]


def test_an_export_can_be_narrowed(database):
    keep(
        database,
        call("c1", run="a", workflow="w"),
        call("c2", run="b", tenant="other"),
        call("c3", run="c", at=99),
    )
    assert [line["run"] for line in exported(database, workflow="w")] == ["a"]
    assert [line["run"] for line in exported(database, tenant="other")] == ["b"]
    assert [line["run"] for line in exported(database, since=START + 1)] == ["c"]
    assert [line["run"] for line in exported(database, run="a")] == ["a"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_lines_of_a_run_add_up_to_its_ledger(tmp_path_factory, fresh_database, data):
    import shutil

    from trimtab.store import Database, url_of

    folder = tmp_path_factory.mktemp("sums")
    shutil.copy(fresh_database, folder)
    database = Database(url_of("sqlite", folder))
    certainties = st.sampled_from(["exact", "estimated", "worst_case"])
    for index in range(data.draw(st.integers(1, 5))):
        words = data.draw(st.sampled_from(["hi", "how?"]))
        content = {"request": chat_bytes([{"role": "user", "content": words}]), "reply": reply_bytes("x")}
        status = data.draw(st.sampled_from(["ok", "failed"]))
        record = call(f"c{index}", at=index, status=status, **(content if data.draw(st.booleans()) else {}))
        tries = data.draw(st.lists(st.tuples(certainties, st.integers(0, 2**50)), max_size=3))
        lines = [
            entry(f"e{index}-{n}", spent, call=record.call.id, certainty=c)
            for n, (c, spent) in enumerate(tries)
        ]
        keep(database, record, *lines)
    raw = list(Exporter(database, Standing(), {}).lines(Selection(), "openai"))
    told = sum(round(json.loads(line)["agent_cost_usd"] or 0, 9) * 10**9 for line in raw)
    assert round(told) == cost_report(database, (), Selection()).total.nanodollars
    database.close()
