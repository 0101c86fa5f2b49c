"""Steps whose cascade ends unsure ask a person: through every SDK, once, and the answer is the call's reply."""

import json

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import Says
from trimtab.store import QuestionQuery, workflow_runs
from trimtab.workflows import CommandTerms, Inbox, Order, RunTerms

UNSURE, SURE = Says("Perhaps.", finish="length"), Says("Certainly.")
KINDS = [
    "by_openai",
    "by_openai_in_a_thread",
    "by_openai_streamed",
    "by_responses",
    "by_langchain",
    "by_langchain_in_a_thread",
    "by_langchain_streamed",
    "by_subgraph",
    "by_sequence",
]


class House:
    """A house with a cheap model and a dear one behind it, and what tests do to its runs."""

    def __init__(self, served, small, large):
        self.served, self.small, self.large = served, small, large
        self.host, self.inbox = served.house.workflows, Inbox(served.house.database)

    async def begin(self, **more):
        row = await self.host.start(Order("work", b'{"log": []}', "acme", **more))
        return await self.host.wait(row.id)

    async def answer(self, run, decision, count=1):
        """Answer what a run asks, the same to each; the run as it stands after that."""
        questions = await self.inbox.open_of(run.id)
        assert len(questions) == count
        for question in questions:
            await self.inbox.answer("acme", run.id, question.id, json.dumps(decision).encode())
        await self.host.take(run.id)
        return await self.host.wait(run.id)

    async def question(self, run):
        (question,) = await self.inbox.open_of(run.id)
        return json.loads(question.value)


@pytest.fixture
def unsure(serve, upstreams):
    """Makes a house whose workflow `work` is one of `unsure_graphs`; its cheap model is never sure."""

    async def make(graph, setting='unsure = "ask"\n', verifier='kind = "finish_reason"'):
        small, large = await upstreams(), await upstreams()
        small.always, large.always = UNSURE, SURE
        served = await serve(
            endpoint(small, "small", '"small"', "price = { input = 0.1, output = 1.0 }")
            + endpoint(large, "large", '"large"')
            + '[[model]]\nname = "smart"\ncandidates = ["small", "large"]\npolicy = "careful"\n'
            + '[[model]]\nname = "small"\nquality = 0.2\n[[model]]\nname = "large"\nquality = 0.9\n'
            + f'[policy.careful]\nkind = "cascade"\nverifiers = [{{ {verifier} }}]\n'
            + f'[workflow.work]\ngraph = "workflows.unsure_graphs:{graph}"\n{setting}'
        )
        return House(served, small, large)

    return make


@pytest.mark.parametrize("graph", KINDS)
async def test_an_unsure_step_asks_and_an_approved_reply_is_used(unsure, graph):
    house = await unsure(graph)
    run = await house.begin()
    assert (run.state, run.error) == ("waiting", "")
    asked = await house.question(run)
    assert (asked["about"], asked["reply"], asked["model"]) == ("unsure", "Perhaps.", "small")
    assert asked["message"] == {"role": "user", "content": "Hello?"}
    assert asked["reason"] == "finish_reason: finished by 'length'"
    done = await house.answer(run, {"decision": "approve"})
    assert (done.state, done.error) == ("done", "")
    assert json.loads(done.output)["log"] == ["Perhaps."]
    assert (len(house.small.seen), len(house.large.seen)) == (1, 0)
    first, second = await house.served.calls()
    assert (first.status, first.code, first.answered_by) == ("failed", "unsure", "none")
    assert first.step == second.step == ("only/only" if graph == "by_subgraph" else "only")
    assert (second.status, second.answered_by, second.nanodollars) == ("ok", "person", 0)
    assert sum(line.nanodollars for line in await house.served.entries()) == first.nanodollars > 0


@pytest.mark.parametrize(
    "graph", ["by_openai", "by_openai_streamed", "by_responses", "by_langchain_in_a_thread"]
)
async def test_an_edited_reply_says_what_the_person_wrote(unsure, graph):
    house = await unsure(graph)
    done = await house.answer(await house.begin(), {"decision": "edit", "value": "No, never. ü"})
    assert (done.state, json.loads(done.output)["log"]) == ("done", ["No, never. ü"])
    assert len(house.small.seen) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"decision": "reject", "reason": "nonsense"}, "a person rejected the reply: nonsense"),
        ({"decision": "edit"}, "the answer decides nothing"),
        ("fine", "the answer decides nothing"),
    ],
)
async def test_a_rejected_reply_fails_the_call_at_once(unsure, answer, said):
    house = await unsure("by_openai")
    failed = await house.answer(await house.begin(), answer)
    assert failed.state == "failed"
    assert "Error code: 403" in failed.error
    assert said in failed.error
    assert len(house.small.seen) == 1


async def test_a_question_says_how_sure_the_model_was(unsure):
    house = await unsure("with_logprobs", verifier='kind = "logprob", value = "-0.5"')
    house.small.always = Says("Perhaps.", logprob=-1.0)
    asked = await house.question(await house.begin())
    assert asked["confidence"] == pytest.approx(0.3679, abs=0.001)
    assert asked["reason"] == "logprob:-0.5: mean logprob -1.000 is below -0.5"


async def test_a_sure_reply_asks_nobody(unsure):
    house = await unsure("by_langchain")
    house.small.always = SURE
    run = await house.begin()
    assert (run.state, json.loads(run.output)["log"]) == ("done", ["Certainly."])
    assert await house.inbox.page(QuestionQuery("acme")) == []


async def test_without_the_setting_the_bigger_model_is_asked(unsure):
    house = await unsure("by_langchain", "")
    run = await house.begin()
    assert (run.state, json.loads(run.output)["log"]) == ("done", ["Certainly."])


async def test_behind_the_plain_gateway_the_setting_changes_nothing(unsure):
    house = await unsure("by_langchain")
    answer = await house.served.post(ask("smart"), headers={"x-trimtab-workflow": "work"})
    assert answer.json["choices"][0]["message"]["content"] == "Certainly."


async def test_a_reply_that_cannot_be_read_is_not_put_to_a_person(unsure):
    house = await unsure("by_openai")
    house.small.always = Says("Perhaps.", extra={"choices": []})
    run = await house.begin()
    assert (run.state, json.loads(run.output)["log"]) == ("done", ["Certainly."])


async def test_questions_of_a_node_and_of_its_calls_are_answered_each_by_its_own(unsure):
    house = await unsure("twice")
    run = await house.begin()
    assert (await house.question(run))["message"]["content"] == "one"
    run = await house.answer(run, {"decision": "edit", "value": "first"})
    assert await house.question(run) == "in between?"
    run = await house.answer(run, "between")
    assert (await house.question(run))["message"]["content"] == "two"
    run = await house.answer(run, {"decision": "edit", "value": "second"})
    assert (run.state, json.loads(run.output)["log"]) == ("done", ["first", "between", "second"])
    assert len(house.small.seen) == 2


async def test_nodes_side_by_side_ask_each_for_itself(unsure):
    house = await unsure("abreast")
    run = await house.begin()
    questions = await house.inbox.open_of(run.id)
    assert len(questions) == 2
    for question in questions:
        text = json.loads(question.value)["message"]["content"]
        said = json.dumps({"decision": "edit", "value": f"for {text}"}).encode()
        await house.inbox.answer("acme", run.id, question.id, said)
    await house.host.take(run.id)
    done = await house.host.wait(run.id)
    assert json.loads(done.output)["log"] == ["for a", "for b"]


async def test_another_run_of_the_thread_may_bring_the_answer(unsure):
    house = await unsure("by_langchain")
    first = await house.begin()
    terms = RunTerms(command=CommandTerms(resume={"decision": "approve"}))
    second = await house.begin(thread=first.thread, terms=terms)
    assert (second.state, second.error, json.loads(second.output)["log"]) == ("done", "", ["Perhaps."])
    assert len(house.small.seen) == 1
    assert await house.inbox.page(QuestionQuery("acme")) == []


@pytest.mark.parametrize(
    ("graph", "mode"),
    [("by_langchain_streamed", "messages"), ("by_subgraph", "updates"), ("by_sequence", "events")],
)
async def test_a_run_that_is_streamed_asks_too(unsure, graph, mode):
    house = await unsure(graph)
    terms = RunTerms(streamed=True, stream_mode=(mode,), stream_subgraphs=True)
    run = await house.begin(terms=terms)
    assert (run.state, run.error) == ("waiting", "")
    done = await house.answer(run, {"decision": "edit", "value": "Written."})
    assert json.loads(done.output)["log"] == ["Written."]


async def test_tasks_of_a_functional_graph_ask_one_after_the_other(unsure):
    house = await unsure("by_tasks")
    run = await house.begin()
    for text in ("a", "b"):
        assert (await house.question(run))["message"]["content"] == text
        run = await house.answer(run, {"decision": "edit", "value": f"for {text}"})
    assert (run.state, json.loads(run.output)["log"]) == ("done", ["for a", "for b"])


async def test_a_question_asked_where_a_node_chooses_the_next_interrupts_it_too(unsure):
    house = await unsure("routed")
    run = await house.begin()
    assert run.state == "waiting"
    done = await house.answer(run, {"decision": "approve"})
    assert (done.state, json.loads(done.output)["log"]) == ("done", ["only"])


async def test_an_answer_never_goes_to_another_call_than_the_one_that_asked(unsure):
    house = await unsure("fickle")
    failed = await house.answer(await house.begin(), {"decision": "approve"})
    assert failed.state == "failed"
    assert "not for this call" in failed.error


async def test_a_leg_without_an_answer_asks_the_same_again_and_no_model(unsure):
    house = await unsure("by_langchain")
    run = await house.begin()
    await house.served.house.database.run(lambda c: workflow_runs.reopen(c, run.id, ("waiting",)))
    assert (await house.host.take(run.id)).claim == 2
    assert (await house.host.wait(run.id)).state == "waiting"
    assert len(house.small.seen) == 1
    done = await house.answer(run, {"decision": "approve"})
    assert done.state == "done"
