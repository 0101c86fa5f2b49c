"""The inbox over HTTP: what is asked, one answer that counts, nothing of another tenant."""

import asyncio
import json

import pytest

from reception.answering import asked, bearer, over


@pytest.fixture
async def served(hosting):
    """A house whose graph asks one thing."""
    return await hosting("asking")


async def test_a_question_is_listed_shown_and_answered_and_the_run_goes_on(served):
    key = bearer(await served.key("acme", "ada"))
    run = await asked(served)
    (one,) = (await served.get("/v1/inbox", key)).json["questions"]
    assert (one["run"], one["thread"], one["workflow"]) == (run.id, run.thread, "work")
    assert (one["value"], one["state"], one["due_at"], one["escalated_at"]) == (
        {"refund": 20},
        "open",
        None,
        None,
    )
    place = f"/v1/inbox/{run.id}/{one['question']}"
    assert (await served.get(place, key)).json == one
    answer = await served.post({"value": "granted"}, f"{place}/answer", key)
    assert (answer.status, answer.json["goes_on"], answer.json["answered_by"]) == (200, True, "ada")
    assert json.loads((await over(served, run.id)).output)["log"] == ["first", "granted"]
    told = (await served.get(place, key)).json
    assert (told["state"], told["answer"], told["answered_by"], told["decision"]) == (
        "answered",
        "granted",
        "ada",
        "",
    )
    assert (await served.get("/v1/inbox", key)).json == {"questions": [], "next": None}


async def test_a_decision_is_given_to_the_graph_with_its_value_and_reason(served):
    key = bearer(await served.key("acme"))
    told = []
    for body in (
        {"decision": "approve"},
        {"decision": "edit", "value": {"refund": 5}, "reason": "too much"},
        {"decision": "reject", "value": None},
    ):
        run = await asked(served)
        (one,) = (await served.get("/v1/inbox", key)).json["questions"]
        await served.post(body, f"/v1/inbox/{run.id}/{one['question']}/answer", key)
        told.append(json.loads((await over(served, run.id)).output)["log"][1] == body)
        shown = (await served.get(f"/v1/inbox/{run.id}/{one['question']}", key)).json
        assert (shown["decision"], shown["answer"]) == (body["decision"], body)
    assert told == [True, True, True]


async def test_of_two_answers_at_once_the_second_is_a_conflict(served):
    key = bearer(await served.key("acme"))
    run = await asked(served)
    (one,) = (await served.get("/v1/inbox", key)).json["questions"]
    place = f"/v1/inbox/{run.id}/{one['question']}/answer"
    answers = await asyncio.gather(*[served.post({"value": value}, place, key) for value in (1, 2)])
    assert sorted(answer.status for answer in answers) == [200, 409]
    winner = [answer.status for answer in answers].index(200) + 1
    assert json.loads((await over(served, run.id)).output)["log"] == ["first", winner]
    assert (await served.post({"value": 3}, place, key)).json["code"] == "already_answered"


async def test_another_tenants_question_is_not_there(served):
    run = await asked(served)
    acme, rival = bearer(await served.key("acme")), bearer(await served.key("rival"))
    (one,) = (await served.get("/v1/inbox", acme)).json["questions"]
    place = f"/v1/inbox/{run.id}/{one['question']}"
    assert (await served.get("/v1/inbox", rival)).json["questions"] == []
    there = [await served.get(place, rival), await served.post({"value": 1}, f"{place}/answer", rival)]
    nowhere = [await served.get("/v1/inbox/none/none", rival)]
    assert {(answer.status, answer.json["code"]) for answer in there + nowhere} == {
        (404, "question_not_found")
    }
    assert (await served.get(place, acme)).json["state"] == "open"


async def test_viewers_read_and_do_not_answer(served):
    viewer = bearer(await served.key("acme", role="viewer"))
    run = await asked(served)
    (one,) = (await served.get("/v1/inbox", viewer)).json["questions"]
    place = f"/v1/inbox/{run.id}/{one['question']}"
    assert (await served.get(place, viewer)).status == 200
    assert (await served.post({"value": 1}, f"{place}/answer", viewer)).status == 403
    assert (await served.get("/v1/inbox", bearer("tt-wrong"))).status == 401


NOTHING_SAID = [
    ({}, "value"),
    ({"reason": "so"}, "decision"),
    ({"decision": "maybe"}, "decision"),
    ({"value": 1, "more": 2}, None),
    ({"decision": "edit", "reason": 1}, "reason"),
    (b"no", None),
]


async def test_an_answer_that_says_nothing_is_refused(served):
    key = bearer(await served.key("acme"))
    run = await asked(served)
    (one,) = (await served.get("/v1/inbox", key)).json["questions"]
    for body, param in NOTHING_SAID:
        answer = await served.post(body, f"/v1/inbox/{run.id}/{one['question']}/answer", key)
        assert (answer.status, answer.json["param"]) == (400, param)
    assert len((await served.get("/v1/inbox", key)).json["questions"]) == 1


async def test_the_list_is_filtered_and_paged(served):
    key = bearer(await served.key("acme"))
    runs = [(await asked(served)).id for _ in range(3)]
    seen, after = [], ""
    while True:
        page = (await served.get(f"/v1/inbox?limit=2&workflow=work&asked_of=&after={after}", key)).json
        seen += [one["run"] for one in page["questions"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == runs
    for filter in ("workflow=none", "asked_of=ada", "overdue=1"):
        assert (await served.get(f"/v1/inbox?{filter}", key)).json["questions"] == []
    for wrong in ("limit=0", "limit=x", "limit=100000", "after=yesterday"):
        assert (await served.get(f"/v1/inbox?{wrong}", key)).status == 400


async def test_a_question_that_is_due_goes_to_the_next_and_is_counted(hosting):
    served = await hosting("asking_soon")
    key = bearer(await served.key("acme"))
    run = await asked(served)

    async def shown():
        return (await served.get("/v1/inbox?overdue=1", key)).json["questions"]

    async with asyncio.timeout(10):
        while not ((told := await shown()) and told[0]["escalated_at"]):
            await asyncio.sleep(0.01)
    (one,) = told
    assert (one["run"], one["asked_of"], one["escalate_to"]) == (run.id, "bob", "bob")
    assert one["escalated_at"] >= one["due_at"]
    text = (await served.get("/metrics")).body.decode()
    assert "trimtab_workflow_questions_escalated_total 1.0" in text
