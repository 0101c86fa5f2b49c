"""Hosted runs as JSON: no shape tells what a run was given or gave back, and a question is told in one way."""

import msgspec

from trimtab.store import QuestionRow, WorkflowRunRow
from trimtab.traces import asked_json, brief_json, facts_json, standing_json

ROW = WorkflowRunRow(
    id="r", tenant="acme", user="ada", key="k", workflow="work", version="1", thread="t", state="waiting",
    claim=1, owner="", recoveries=0, cancel_asked=False, priority=0, deadline=None, created_at=1.0,
    updated_at=2.0, input=b'"secret"', output=b'"secret"', terms=b'{"x": "secret"}', metadata='{"a": 1}',
)  # fmt: skip


def test_a_run_is_told_without_its_content():
    for shape in (brief_json, standing_json, facts_json):
        told = msgspec.json.decode(msgspec.json.encode(shape(ROW)))
        assert "secret" not in str(told)
        assert (told["state"], told["thread"], told["version"]) == ("waiting", "t", "1")
    assert msgspec.json.decode(msgspec.json.encode(brief_json(ROW)))["metadata"] == {"a": 1}
    assert facts_json(ROW)["tenant"] == "acme"


def test_a_question_is_told_with_its_value_as_json():
    asked = QuestionRow("r", "q", "acme", "work", 1.0, "ada", 2.0, "bob", b'{"refund": 20}')
    told = msgspec.json.decode(msgspec.json.encode(asked_json(asked)))
    assert told == {
        "asked_at": 1.0,
        "asked_of": "ada",
        "due_at": 2.0,
        "escalated_at": None,
        "escalate_to": "bob",
        "value": {"refund": 20},
    }
