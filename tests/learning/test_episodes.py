import gzip
import json

import pytest

from trimtab.controllers import ToolCall
from trimtab.core.errors import DataError
from trimtab.learning.episodes import read_episodes

FUNCTION = {"name": "get", "parameters": {"type": "object"}, "description": "reads"}


def called(name="get", arguments=None, **more):
    call = {"id": "c1", "name": name, "arguments": {"a": 1} if arguments is None else arguments}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


def line(*messages, **more):
    told = {
        "agent": "clerk",
        "domain": "desk",
        "task": "7",
        "trial": 0,
        "reward": 1.0,
        "messages": list(messages),
    }
    return told | more


def written(folder, *lines, name="runs.jsonl", domains=None):
    path = folder / name
    text = "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    if domains is not None:
        (folder / "domains.jsonl").write_text("".join(json.dumps(each) + "\n" for each in domains))
    return path


HELLO, BYE = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "bye", "cost_usd": 0.5}


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz"])
def test_a_run_is_read_with_its_tools_calls_and_prices(tmp_path, name):
    result = {"role": "tool", "content": "u1", "tool_call_id": "c1"}
    domain = {"domain": "desk", "tools": [FUNCTION | {"read_only": True}, {"name": "put", "parameters": {}}]}
    path = written(tmp_path, line(HELLO, called(cost_usd=0.000002), result, BYE), name=name, domains=[domain])
    (one,) = read_episodes(path)
    assert (one.workflow, one.agent, one.task, one.reward) == ("desk", "clerk", "7", 1.0)
    assert [turn.speaker for turn in one.turns] == ["user", "assistant", "tool", "assistant"]
    assert one.turns[1].calls == (ToolCall("get", {"a": 1}, "c1"),)
    assert one.turns[2].tool_call_id == "c1"
    assert one.prices == (None, 2_000, None, 500_000_000)
    assert one.read_only == {"get"}
    assert list(one.calls) == [1, 3]


def test_an_opening_greeting_is_no_call_of_a_model(tmp_path):
    path = written(tmp_path, line({"role": "assistant", "content": "Hi!"}, HELLO, BYE))
    assert list(read_episodes(path)[0].calls) == [2]


def test_what_the_user_does_with_tools_of_their_own_is_not_heard(tmp_path):
    own = {"role": "user", "content": None, "tool_calls": [{"id": "u1", "name": "look", "arguments": {}}]}
    seen = {"role": "tool", "content": "a light", "tool_call_id": "u1", "for": "user"}
    (one,) = read_episodes(written(tmp_path, line(HELLO, own, seen, BYE)))
    assert [turn.text for turn in one.turns] == ["hello", "bye"]


def test_the_tools_of_the_line_go_before_those_of_the_domain(tmp_path):
    path = written(
        tmp_path,
        line(HELLO, BYE, tools=[{"type": "function", "function": FUNCTION}]),
        domains=[{"domain": "desk", "tools": [{"name": "other", "parameters": {}}]}],
    )
    (one,) = read_episodes(path, read_only=frozenset({"get"}))
    assert [(tool.name, tool.read_only) for tool in one.tools] == [("get", True)]


def test_where_nobody_declared_tools_those_that_were_called_are_known_and_may_write(tmp_path):
    (one,) = read_episodes(written(tmp_path, line(HELLO, called("put"), called("get"))))
    assert [(tool.name, tool.read_only) for tool in one.tools] == [("get", False), ("put", False)]


def test_arguments_that_are_no_object_are_kept_apart(tmp_path):
    (one,) = read_episodes(written(tmp_path, line(HELLO, called(arguments=[1]))))
    assert one.turns[1].calls[0].arguments == {"_raw": [1]}


def test_text_parts_are_joined_and_pictures_say_nothing(tmp_path):
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"text": "here"},
    ]
    (one,) = read_episodes(written(tmp_path, line({"role": "user", "content": parts})))
    assert one.turns[0].text.split() == ["look", "here"]


def test_of_several_workflows_one_can_be_read(tmp_path):
    path = written(tmp_path, line(HELLO), line(HELLO, domain="shop"), line(HELLO, domain="shop", trial=1))
    assert len(read_episodes(path)) == 3
    assert {one.workflow for one in read_episodes(path, "shop")} == {"shop"}
    assert len({one.id for one in read_episodes(path)}) == 3


def test_progress_is_told_to_the_end(tmp_path):
    told = []
    path = written(tmp_path, line(HELLO), "", line(HELLO))
    read_episodes(path, progress=lambda *bytes: told.append(bytes))
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "\x00\x01",
        json.dumps(line(HELLO))[:-20],
        json.dumps(line({"role": "wizard", "content": "x"})),
        json.dumps(line(HELLO, reward="much")),
        json.dumps({"agent": "clerk"}),
        json.dumps(line(HELLO, tools=5)),
        json.dumps(line(HELLO, tools=[{"function": {"name": "get", "parameters": 5}}])),
        "[" * 100_000,
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, bad):
    path = written(tmp_path, line(HELLO), bad)
    with pytest.raises(DataError) as caught:
        read_episodes(path)
    assert caught.value.file == str(path)
    assert caught.value.line == 2
    assert caught.value.remedy


def test_a_file_without_runs_of_the_workflow_is_refused(tmp_path):
    with pytest.raises(DataError, match="no runs of workflow 'shop'") as caught:
        read_episodes(written(tmp_path, line(HELLO)), "shop")
    assert caught.value.remedy
    with pytest.raises(DataError, match="no runs"):
        read_episodes(written(tmp_path, ""))


def test_a_missing_file_and_one_cut_short_are_refused(tmp_path):
    with pytest.raises(DataError):
        read_episodes(tmp_path / "none.jsonl")
    path = written(tmp_path, *([line(HELLO)] * 50), name="runs.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError):
        read_episodes(path)


@pytest.mark.parametrize(
    "domain", [{"tools": []}, {"domain": "desk", "tools": [{"name": "get", "parameters": 5}]}]
)
def test_a_bad_list_of_tools_beside_the_runs_is_named(tmp_path, domain):
    path = written(tmp_path, line(HELLO), domains=[domain])
    with pytest.raises(DataError) as caught:
        read_episodes(path)
    assert caught.value.file == str(tmp_path / "domains.jsonl")
