"""Recorded runs come in once, whole, and go out again as they were."""

import gzip
import json
import os
from pathlib import Path

import pytest

from trimtab.core import Usage
from trimtab.store import EndRecord, Selection, Standing, runs
from trimtab.traces import (
    Exporter,
    Importer,
    completion_report,
    cost_report,
    find_run,
    list_runs,
    prune,
    read_tree_with_content,
    write_lines,
)

from .made import START, call, chat_bytes, entry, keep, outcome, paid, reply_bytes
from .test_chat_export import HI, HOW, exported, two_turns

NOW = 1_800_000_000.0
RECORDED = {
    "agent": "toy", "domain": "lamps", "task": "[odd] task: 1", "trial": 3, "reward": 1.0, "end": "user_stop",
    "agent_cost_usd": 0.013358500000000001, "duration_s": 4.0,
    "messages": [
        {"role": "assistant", "content": "Hello!", "t": 0.0},
        {"role": "user", "content": "My lamp flickers – help.", "cost_usd": 0.5, "t": 1.0},
        {
            "role": "assistant", "content": None, "t": 1.25, "cost_usd": 0.010358500000000001,
            "tool_calls": [{"id": "a1", "name": "look", "arguments": {"lamp": "ünï", "deep": {"x": [1, 2.50]}}}],
            "usage": {"prompt_tokens": 120, "completion_tokens": 30},
        },
        {"role": "tool", "content": "fine", "tool_call_id": "a1", "for": "assistant", "t": 1.25},
        {"role": "assistant", "content": "Switch it off.", "t": 1.5, "cost_usd": 0.003},
        {"role": "user", "content": None, "tool_calls": [{"id": "u1", "name": "press", "arguments": {}}], "t": 2.0},
        {"role": "tool", "content": "off", "tool_call_id": "u1", "for": "user", "t": 2.0},
        {"role": "user", "content": "It is off.", "t": 3.0},
        {"role": "assistant", "content": "", "t": 3.1, "usage": {"prompt_tokens": 200, "completion_tokens": 1}},
    ],
}  # fmt: skip


def written(path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def imported(database, path, tenant=None):
    return Importer(database, tenant, NOW).read(path)


def export_to(database, path):
    write_lines(path, Exporter(database, Standing(), {}).lines(Selection(), "openai"))
    return path


def only_tree(database):
    (run,) = list_runs(database, Selection(), Standing(), None, 9)
    return read_tree_with_content(database, run)


def test_every_reply_after_the_first_user_message_becomes_a_call(database, tmp_path):
    report = imported(database, written(tmp_path / "runs.jsonl", RECORDED))
    assert (report.lines, report.runs, report.calls, report.entries, report.errors) == (1, 1, 3, 3, [])
    tree = only_tree(database)
    run, (step,) = tree.run, tree.steps
    assert (run.tenant, run.workflow, run.task, run.agent) == ("default", "lamps", "[odd] task: 1", "toy")
    assert (run.status, run.reward, run.ended) == ("completed", 1.0, True)
    assert (run.started_at, run.last_at) == (NOW, NOW + 4)
    assert [node.nanodollars for node in step.calls] == [10_358_500, 3_000_000, 0]
    assert [line.certainty for node in step.calls for line in node.entries] == [
        "exact",
        "estimated",
        "unpriced",
    ]
    first = step.calls[0].record
    assert (first.usage, first.model, first.seconds) == (Usage(120, 30), "toy", 0.25)


def test_a_call_holds_what_the_agent_saw_and_not_the_users_own_tools(database, tmp_path):
    imported(database, written(tmp_path / "runs.jsonl", RECORDED))
    last = only_tree(database).steps[0].calls[-1].record
    messages = json.loads(last.request)["messages"]
    assert [m["role"] for m in messages] == ["assistant", "user", "assistant", "tool", "assistant", "user"]
    assert json.loads(messages[2]["tool_calls"][0]["function"]["arguments"])["lamp"] == "ünï"


def test_importing_again_changes_nothing(either, tmp_path):
    path = written(
        tmp_path / "runs.jsonl", RECORDED, RECORDED | {"trial": 4}, RECORDED | {"messages": [], "trial": 5}
    )
    imported(either, path)
    before = (cost_report(either, ("run",), Selection()), list_runs(either, Selection(), Standing(), None, 9))
    again = Importer(either, None, NOW + 99).read(path)
    assert (again.runs, again.calls, again.entries, again.known) == (0, 0, 0, 3)
    assert before == (
        cost_report(either, ("run",), Selection()),
        list_runs(either, Selection(), Standing(), None, 9),
    )


def test_a_cost_that_the_parts_do_not_explain_is_entered_as_a_guess(database, tmp_path):
    imported(database, written(tmp_path / "runs.jsonl", RECORDED | {"agent_cost_usd": 0.02}))
    total = cost_report(database, (), Selection()).total
    assert (total.nanodollars, total.estimated_nanodollars) == (20_000_000, 3_000_000 + 6_641_500)


def test_one_bad_line_does_not_lose_the_others(database, tmp_path):
    wrong = RECORDED | {"messages": [{"role": "assistant", "content": 7}]}
    path = written(
        tmp_path / "runs.jsonl",
        RECORDED, "{", wrong, "", RECORDED | {"trial": 9}, RECORDED | {"reward": 7}, '{"agent": "x"}',
        RECORDED | {"agent_cost_usd": -1}, RECORDED | {"task": "a\0b"},
    )  # fmt: skip
    report = imported(database, path)
    assert (report.lines, report.runs) == (8, 2)
    assert len(report.errors) == 6
    for error, (line, field) in zip(
        report.errors,
        [
            (2, "not JSON"),
            (3, "messages[0].content"),
            (6, "reward"),
            (7, "domain"),
            (8, "agent_cost_usd"),
            (9, "task"),
        ],
        strict=True,
    ):
        assert error.startswith(f"{path}:{line}: ")
        assert field in error
        assert "line" in error.split(": ", 1)[1]


def test_a_cut_off_file_gives_what_came_before_the_cut(database, tmp_path):
    lines = [json.dumps(RECORDED | {"trial": i, "end": os.urandom(200).hex()}) for i in range(200)]
    whole = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    report = imported(database, path)
    assert 50 < report.runs < 150
    (error,) = report.errors
    assert "cut off" in error


def test_a_file_that_is_not_there_is_said_so(database, tmp_path):
    assert imported(database, tmp_path / "nix.jsonl").errors == [
        f"{tmp_path}/nix.jsonl: no such file (check the path)"
    ]


def test_the_tenant_can_be_named_and_ids_do_not_clash(database, tmp_path):
    path = written(tmp_path / "runs.jsonl", RECORDED)
    imported(database, path, "one")
    assert imported(database, path, "two").runs == 1
    assert find_run(database, list_runs(database, Selection(), Standing(), None, 1)[0].id, "one", Standing())


def many_kinds_of_runs(database):
    two_turns(database, workflow="w", task="t", user="ann")
    keep(
        database,
        outcome(0.25),
        entry("tool:acme:r1:t1", 250, at=2, kind="tool", model="look", step="answer"),
        entry("tool:acme:r1:unknown", 9, at=4, kind="tool", model="search", step="plan"),
    )
    for index, (certainty, message) in enumerate((("exact", HI), ("unpriced", HOW), ("estimated", HI))):
        content = {"request": chat_bytes([message]), "reply": reply_bytes("x")}
        record = call(f"p{index}", at=index, run="r2", usage=Usage(5, 1, 2), **content)
        keep(database, record, paid(record, 7, certainty=certainty))
    failed = call("f", run="r3", status="failed", step="s")
    dropped = call("dropped", at=1.1, run="r3", model="big")
    keep(database, failed, paid(failed, 50, certainty="worst_case"), dropped)
    broken = [{"id": "t", "function": {"name": "f", "arguments": "oops"}}]
    content = {
        "request": chat_bytes([HI, {"role": "assistant", "content": "pre"}]),
        "reply": reply_bytes("fix", broken),
    }
    odd = call("o", run="r4", tenant="other", seconds=1 / 3, at=1 / 7, **content)
    keep(database, odd, entry("hidden", 3, call="o", run="r4", tenant="other", certainty="estimated"))
    keep(database, paid(odd, 0, certainty="upstream", upstream_nanodollars=12))
    content = {"request": chat_bytes([HI]), "reply": reply_bytes("k")}
    keep(database, call("recalled", run="r5", answered_by="recall", usage=Usage(), **content))
    database.transact(lambda c: runs.end(c, [EndRecord("acme", "r5", START)]))


def test_what_goes_out_comes_in_and_goes_out_the_same(databases, tmp_path):
    first, second = databases("first"), databases("second")
    many_kinds_of_runs(first)
    out = export_to(first, tmp_path / "out.jsonl")
    report = imported(second, out)
    assert report.errors == []
    assert export_to(second, tmp_path / "again.jsonl").read_text() == out.read_text()


def test_money_is_the_same_after_the_journey(databases, tmp_path):
    first, second = databases("first"), databases("second")
    two_turns(first, workflow="w")
    keep(first, outcome(1.0))
    imported(second, export_to(first, tmp_path / "out.jsonl.gz"))
    for by in ((), ("workflow", "step"), ("model", "endpoint"), ("kind", "certainty")):
        assert cost_report(first, by, Selection()) == cost_report(second, by, Selection())
    assert (
        completion_report(first, ("workflow",), Selection(), {}).total
        == completion_report(second, ("workflow",), Selection(), {}).total
    )


def test_runs_this_house_served_are_not_taken_in_again(database, tmp_path):
    many_kinds_of_runs(database)
    out = export_to(database, tmp_path / "out.jsonl")
    before = cost_report(database, ("run",), Selection())
    report = imported(database, out)
    assert (report.runs, report.known) == (0, report.lines)
    assert cost_report(database, ("run",), Selection()) == before


def test_an_archive_of_deleted_traces_does_not_double_their_money(database, tmp_path):
    two_turns(database)
    out = export_to(database, tmp_path / "out.jsonl")
    prune(database, START + 1000)
    before = cost_report(database, (), Selection())
    assert before.total.nanodollars > 0
    assert imported(database, out).runs == 0
    assert cost_report(database, (), Selection()) == before


def test_deleted_imports_can_be_imported_again(database, tmp_path):
    path = written(tmp_path / "runs.jsonl", RECORDED)
    imported(database, path)
    before = cost_report(database, (), Selection())
    prune(database, NOW + 1000)
    assert list_runs(database, Selection(), Standing(), None, 9) == []
    assert imported(database, path).calls == 3
    assert cost_report(database, (), Selection()) == before


def test_a_line_left_out_the_first_time_joins_its_run(databases, tmp_path):
    first, second = databases("first"), databases("second")
    for index, message in enumerate((HI, HOW)):
        record = call(f"c{index}", at=index, request=chat_bytes([message]), reply=reply_bytes("x"))
        keep(first, record, paid(record, 5))
    zero, one = export_to(first, tmp_path / "out.jsonl").read_text().splitlines()
    assert imported(second, written(tmp_path / "a.jsonl", one)).runs == 1
    assert imported(second, written(tmp_path / "b.jsonl", zero, one)).known == 1
    assert exported(second) == exported(first)


def test_a_tools_price_is_entered_once_however_often_it_is_told(database, tmp_path):
    paid_tool = {"role": "tool", "content": "x", "tool_call_id": "a1", "cost_usd": 0.25}
    path = written(
        tmp_path / "r.jsonl", RECORDED | {"messages": [*RECORDED["messages"], paid_tool, paid_tool]}
    )
    assert imported(database, path).errors == []
    rows = cost_report(database, ("kind", "model"), Selection()).rows
    assert {row.fields: row.nanodollars for row in rows}["tool", "look"] == 250_000_000


def test_progress_reaches_the_end_of_the_file(database, tmp_path):
    path = written(tmp_path / "runs.jsonl", *[RECORDED | {"trial": i} for i in range(250)])
    told = []
    Importer(database, None, NOW).read(path, lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert 0 < told[0][0] <= told[1][0] < size


def test_the_recorded_tau2_runs_come_in_and_go_out_whole(databases, tmp_path):
    data = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = data / "tau2_traces" / "runs.jsonl.gz"
    if not path.exists():
        pytest.skip(f"recorded runs are not here: {path} (set TRIMTAB_DATA)")
    first, second = databases("first"), databases("second")
    report = imported(first, path)
    assert (report.errors, report.lines) == ([], report.runs)
    recorded = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    spent = sum(round((run["agent_cost_usd"] or 0) * 10**9) for run in recorded)
    assert cost_report(first, (), Selection()).total.nanodollars == spent
    total = completion_report(first, (), Selection(), {}).total
    assert (total.runs, total.completed) == (len(recorded), sum(run["reward"] == 1 for run in recorded))
    out = export_to(first, tmp_path / "out.jsonl.gz")
    imported(second, out)
    assert export_to(second, tmp_path / "again.jsonl.gz").read_bytes() == out.read_bytes()
