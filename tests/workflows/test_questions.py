"""The inbox on both databases, seen by two processes: answered once, passed on once, listed page by page."""

import asyncio

import pytest

from trimtab.core.errors import Conflict, NotFound
from trimtab.store import Database, QuestionPlace, QuestionQuery, workflow_questions, workflow_runs
from trimtab.workflows import Inbox
from workflows.made import lay_question, lay_run


@pytest.fixture
def inboxes(database):
    """Two processes' inboxes on one database."""
    second = Database(database.url)
    yield Inbox(database, 0.01), Inbox(second, 0.01)
    second.close()


def laid(database, runs=1, **more):
    """Runs that each ask one thing."""

    def work(connection):
        for number in range(runs):
            lay_run(connection, f"r{number}")
            lay_question(connection, f"r{number}", **more)

    database.transact(work)


async def test_of_two_processes_answers_one_counts_and_the_run_is_queued_once(database, inboxes):
    laid(database, 10)
    for number in range(10):
        said = await asyncio.gather(
            *[inbox.answer("acme", f"r{number}", "q1", answer, by, "approve") for inbox, answer, by in
              zip(inboxes, (b'"yes"', b'"no"'), ("ada", "bob"), strict=True)],
            return_exceptions=True,
        )  # fmt: skip
        winner = said.index(True)
        assert isinstance(said[1 - winner], Conflict)
        row = database.transact(
            lambda c, run=f"r{number}": workflow_questions.find_asked(c, run, "q1").question
        )
        answer = (b'"yes"', b'"no"')[winner]
        assert (row.answer, row.answered_by, row.decision) == (answer, ("ada", "bob")[winner], "approve")
    states = database.transact(lambda c: [run.state for run in workflow_runs.page(c, "acme")])
    assert states == ["queued"] * 10


async def test_a_due_question_is_passed_on_once_whoever_looks(database, inboxes):
    laid(database, 20, due_seconds=-1.0, escalate_to="bob")
    passed = await asyncio.gather(*[inbox.escalate() for inbox in inboxes])
    passed += [await inbox.escalate() for inbox in inboxes]
    told = [(each.run, each.id, each.asked_of) for one in passed for each in one]
    assert sorted(told) == sorted((f"r{number}", "q1", "bob") for number in range(20))
    assert sum(inbox.escalated for inbox in inboxes) == 20
    row = (await inboxes[0].find("acme", "r0", "q1")).question
    assert row.asked_of == "bob"
    assert row.escalated_at is not None
    assert row.state == "open"


async def test_what_is_not_due_or_answered_is_not_passed_on(database, inboxes):
    laid(database, 2, due_seconds=3600.0, escalate_to="bob")
    database.transact(lambda c: lay_question(c, "r0", "late", due_seconds=-1.0, escalate_to="bob"))
    database.transact(lambda c: lay_question(c, "r1", "endless"))
    await inboxes[0].answer("acme", "r0", "late", b"1")
    assert await inboxes[1].escalate() == []


async def test_a_due_question_without_anybody_else_stays_with_whom_it_asks(database, inboxes):
    laid(database, due_seconds=-1.0)
    (row,) = await inboxes[0].escalate()
    assert (row.asked_of, row.escalated_at is None) == ("ada", False)


async def test_the_task_passes_on_what_falls_due(database, inboxes, caplog):
    laid(database, due_seconds=0.05, escalate_to="bob")
    tasks = [asyncio.create_task(inbox.run()) for inbox in inboxes]
    async with asyncio.timeout(5):
        while not any(inbox.escalated for inbox in inboxes):
            await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert "question q1 of run r0 (tenant acme) is overdue, bob is asked now" in caplog.text
    assert sum(inbox.escalated for inbox in inboxes) == 1


async def test_questions_are_listed_page_by_page_the_longest_waiting_first(database, inboxes):
    inbox = inboxes[0]
    laid(database, 3)
    database.transact(lambda c: lay_question(c, "r0", "q2", asked_at=1.0))
    database.transact(lambda c: lay_question(c, "r2", "q3", asked_at=1.0, asked_of="bob", due_at=2.0))
    database.transact(lambda c: lay_run(c, "other", tenant="rival"))
    database.transact(lambda c: lay_question(c, "other", tenant="rival"))
    seen, after = [], None
    while rows := await inbox.page(QuestionQuery("acme", after=after), 2):
        last = rows[-1].question
        seen += [(row.question.run, row.question.id, row.thread) for row in rows]
        after = QuestionPlace(last.asked_at, last.run, last.id)
    first = [("r0", "q2", "thread-r0"), ("r2", "q3", "thread-r2")]
    assert seen == first + [(f"r{number}", "q1", f"thread-r{number}") for number in range(3)]
    (bobs,) = await inbox.page(QuestionQuery("acme", asked_of="bob"))
    assert bobs.question.id == "q3"
    assert await inbox.overdue(QuestionQuery("acme")) == [bobs]
    assert await inbox.page(QuestionQuery("acme", workflow="none")) == []


async def test_nobody_finds_another_tenants_question(database, inboxes):
    laid(database)
    for motion in (inboxes[0].find("rival", "r0", "q1"), inboxes[0].answer("rival", "r0", "q1", b"1")):
        with pytest.raises(NotFound):
            await motion
    assert (await inboxes[0].find("acme", "r0", "q1")).question.state == "open"


def test_a_threads_questions_are_those_of_all_its_runs(database):
    def lay(connection):
        for id, tenant, thread in (
            ("a", "acme", "t1"),
            ("b", "acme", "t1"),
            ("c", "acme", "t2"),
            ("d", "rival", "t1"),
        ):
            lay_run(connection, id, tenant, thread=thread)
            lay_question(connection, id, f"q-{id}", tenant)
        return [row.id for row in workflow_questions.of_thread(connection, "b")]

    assert database.transact(lay) == ["q-a", "q-b"]


def test_one_answer_of_two_that_is_taken_back_leaves_both_questions_open(database):
    def lay(connection):
        lay_run(connection, "r1", state="superseded", thread="t")
        for id in ("q1", "q2"):
            lay_question(connection, "r1", id)
        workflow_questions.answer(connection, "r1", "q1", b'"yes"', "ada", 1.0)
        workflow_questions.withdraw(connection, "r1")
        terms = b'{"command": {"resume": {"q1": "yes"}}}'
        lay_run(connection, "r2", state="queued", thread="t", claim=0, terms=terms)

    database.transact(lay)
    assert database.transact(lambda connection: workflow_runs.ask_cancel(connection, "r2"))
    asked = database.transact(lambda connection: workflow_questions.open_of_run(connection, "r1"))
    assert [(one.id, one.answer, one.answered_by) for one in asked] == [("q1", None, ""), ("q2", None, "")]
    assert database.transact(lambda connection: workflow_runs.find(connection, "r1")).state == "waiting"
