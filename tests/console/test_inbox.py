"""The inbox: by due time, with all that goes with a question; one answer counts, and who gave it is kept."""

import asyncio
import json
import re
from urllib.parse import quote

import pytest

from console.visiting import page, words
from reception.answering import asked, over
from trimtab.store import audit, workflow_questions
from workflows.made import lay_question, lay_run

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def served(hosting):
    """A house whose graph asks one thing."""
    return await hosting("asking")


def question_of(served, run):
    (one,) = served.house.database.transact(lambda c: workflow_questions.open_of_run(c, run.id))
    return one.id


async def test_questions_stand_by_due_time_those_never_due_last(served, guests):
    def lay(connection):
        for id, due in (("never", None), ("late", 900.0), ("over", -60.0), ("soon", 60.0)):
            lay_run(connection, id)
            lay_question(connection, id, id="q", due_seconds=due, value=json.dumps({"which": id}).encode())

    served.house.database.transact(lay)
    guest = await guests(served, "viewer")
    answer = await guest.get("/console/inbox")
    assert re.findall(r"run=(\w+)&amp;id=q", page(answer)) == ["over", "soon", "late", "never"]
    assert words(answer).count("overdue") == 1
    other = await guests(served, "viewer", tenant="other")
    assert "Nothing waits for an answer" in words(await other.get("/console/inbox"))
    assert (await other.get("/console/question?tenant=acme&run=over&id=q")).status == 403
    assert (await other.get("/console/question?run=over&id=q")).status == 404


async def test_many_questions_are_paged(served, guests):
    def lay(connection):
        for number in range(60):
            lay_run(connection, f"r{number:02}")
            lay_question(
                connection, f"r{number:02}", id="q", due_seconds=None if number % 2 else 60.0 + number
            )

    served.house.database.transact(lay)
    guest = await guests(served, "admin")
    first = await guest.get("/console/inbox")
    following = re.search(r'rel="next" href="([^"]+)"', page(first)).group(1).replace("&amp;", "&")
    found = [re.findall(r"run=(r\d\d)&amp;", page(each)) for each in (first, await guest.get(following))]
    assert [len(each) for each in found] == [50, 10]
    assert len({run for each in found for run in each}) == 60


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"decision": "approve"}, {"decision": "approve"}),
        ({"decision": "reject", "reason": "too much"}, {"decision": "reject", "reason": "too much"}),
        ({"decision": "edit", "value": '{"refund": 5}'}, {"decision": "edit", "value": {"refund": 5}}),
        ({"decision": "answer", "value": '"granted"'}, "granted"),
    ],
)
async def test_an_answer_lets_the_run_go_on_and_is_kept_with_who_gave_it(served, guests, form, told):
    run = await asked(served)
    guest = await guests(served, "operator")
    question = question_of(served, run)
    shown = await guest.get(f"/console/question?run={run.id}&id={question}")
    assert "refund" in words(shown)
    answer = await guest.act("/console/question", {"tenant": "acme", "run": run.id, "id": question} | form)
    assert answer.status == 303
    assert json.loads((await over(served, run.id)).output)["log"][1] == told
    text = words(await guest.get(answer.headers["location"]))
    assert "by ada" in text
    (act,) = served.house.database.transact(lambda c: audit.latest(c, "acme", 9))
    assert (act.by, act.subject) == ("ada", question)
    assert form["decision"] in act.detail
    assert form["decision"] in words(await guest.get("/console/inbox"))


async def test_of_two_answers_at_once_the_second_is_told_so(served, guests):
    run = await asked(served)
    first, second = await guests(served, "operator"), await guests(served, "operator", user="bob")
    form = {"tenant": "acme", "run": run.id, "id": question_of(served, run), "decision": "approve"}
    answers = await asyncio.gather(
        first.act("/console/question", form), second.act("/console/question", form)
    )
    assert sorted(each.status for each in answers) == [303, 409]
    acts = served.house.database.transact(lambda c: audit.latest(c, "acme", 9))
    assert len(acts) == 1


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"decision": "edit"}, "to edit, give a value"),
        ({"decision": "answer", "value": "no quotes"}, "the value is not JSON"),
        ({"decision": "perhaps"}, "decision is one of approve, edit, reject, answer"),
        ({}, "decision is missing"),
        ({"decision": "approve", "reason": "x" * 10_001}, "the reason is longer than 10000 characters"),
    ],
)
async def test_an_answer_that_cannot_be_read_says_why_and_the_run_waits_on(served, guests, form, said):
    run = await asked(served)
    guest = await guests(served, "operator")
    question = question_of(served, run)
    answer = await guest.act("/console/question", {"tenant": "acme", "run": run.id, "id": question} | form)
    assert (answer.status, said in words(answer)) == (400, True)
    assert (await served.house.workflows.find(run.id)).state == "waiting"


async def test_who_may_only_look_or_is_of_another_tenant_cannot_answer(served, guests):
    run = await asked(served)
    form = {"tenant": "acme", "run": run.id, "id": question_of(served, run), "decision": "approve"}
    viewer = await guests(served, "viewer")
    other = await guests(served, "operator", tenant="other")
    assert (await viewer.act("/console/question", form)).status == 403
    assert "may look, not answer" in words(
        await viewer.get(f"/console/question?run={run.id}&id={form['id']}")
    )
    assert (await other.act("/console/question", form)).status == 403
    assert (await other.act("/console/question", form | {"tenant": "other"})).status == 404


async def test_what_is_asked_is_text_whatever_it_says(served, guests):
    def lay(connection):
        lay_run(connection, "r", error=EVIL)
        lay_question(connection, "r", id=EVIL, value=json.dumps({"say": EVIL}).encode(), asked_of=EVIL)

    served.house.database.transact(lay)
    guest = await guests(served, "viewer")
    for path in ("/console/inbox", f"/console/question?run=r&id={quote(EVIL)}", "/console/run?id=r"):
        answer = await guest.get(path)
        assert answer.status == 200
        assert "<img" not in page(answer)
