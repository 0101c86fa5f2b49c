"""Runs that ask people: a question in the inbox, answered once, by the right tenant; only then the run goes on."""

import asyncio
import json

import pytest

from trimtab.core.errors import BadRequest, Conflict, NotFound
from trimtab.store import QuestionQuery
from trimtab.workflows import Inbox, Order


async def questions_of(inbox, tenant):
    return [row.question for row in await inbox.page(QuestionQuery(tenant))]


async def asked(served, tenant="acme"):
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}', tenant))
    run = await host.wait(row.id)
    assert run.state == "waiting"
    inbox = Inbox(served.house.database)
    return host, inbox, run, await questions_of(inbox, tenant)


async def test_an_answer_lets_the_run_go_on_in_the_node_that_asked(hosting):
    served = await hosting("asking")
    host, inbox, run, (question,) = await asked(served)
    assert (question.run, question.workflow, json.loads(question.value)) == (run.id, "work", {"refund": 20})
    assert await inbox.answer("acme", run.id, question.id, b'"approved"', "ada")
    assert await questions_of(inbox, "acme") == []
    assert (await host.take(run.id)).claim == 2
    done = await host.wait(run.id)
    assert (done.state, json.loads(done.output)["log"]) == ("done", ["first", "approved"])


async def test_of_two_answers_at_once_one_wins(hosting):
    served = await hosting("asking")
    host, inbox, run, (question,) = await asked(served)
    said = await asyncio.gather(
        *[inbox.answer("acme", run.id, question.id, answer) for answer in (b'"yes"', b'"no"')],
        return_exceptions=True,
    )
    assert sorted(map(str, map(type, said))) == [str(bool), str(Conflict)]
    await host.take(run.id)
    log = json.loads((await host.wait(run.id)).output)["log"]
    assert log == ["first", ["yes", "no"][said.index(True)]]
    with pytest.raises(Conflict, match="is not open any more"):
        await inbox.answer("acme", run.id, question.id, b'"late"')


async def test_nobody_answers_for_another_tenant_or_with_what_is_no_json(hosting):
    served = await hosting("asking")
    _, inbox, run, (question,) = await asked(served)
    assert await questions_of(inbox, "other") == []
    with pytest.raises(NotFound):
        await inbox.answer("other", run.id, question.id, b"1")
    with pytest.raises(NotFound):
        await inbox.answer("acme", run.id, "none", b"1")
    with pytest.raises(BadRequest):
        await inbox.answer("acme", run.id, question.id, b"yes")
    assert len(await questions_of(inbox, "acme")) == 1


async def test_questions_side_by_side_are_all_answered_before_the_run_goes_on(hosting):
    served = await hosting("side_by_side")
    host, inbox, run, questions = await asked(served)
    by_value = {question.value: question for question in questions}
    plain = by_value.pop(b'{"refund":20}')
    (named,) = by_value.values()
    assert (named.asked_of, named.escalate_to) == ("ada", "bob")
    assert named.due_at == pytest.approx(named.asked_at + 60)
    assert not await inbox.answer("acme", run.id, plain.id, b'"left"')
    assert await host.take(run.id) is None
    assert await inbox.answer("acme", run.id, named.id, b'"right"')
    await host.take(run.id)
    again = await host.wait(run.id)
    # The second question of the same node is another one: no earlier answer feeds it.
    (second,) = await questions_of(inbox, "acme")
    assert (again.state, json.loads(second.value)) == ("waiting", "and then?")
    await inbox.answer("acme", run.id, second.id, b'"more"')
    await host.take(run.id)
    done = await host.wait(run.id)
    assert sorted(json.loads(done.output)["log"]) == ["left", "more", "right"]


async def test_a_cancelled_run_asks_nothing_any_more(hosting):
    served = await hosting("asking")
    host, inbox, run, (question,) = await asked(served)
    assert await host.cancel(run.id)
    assert (await host.find(run.id)).state == "cancelled"
    assert await questions_of(inbox, "acme") == []
    with pytest.raises(Conflict):
        await inbox.answer("acme", run.id, question.id, b"1")
