"""Forks: a new run goes on from a step of another one, which stays as it was; what it costs is its own."""

import json
from collections import Counter

import pytest
from sqlalchemy import func, select

from gateway.served import cost, endpoint
from gateway.upstream import hangs
from trimtab.core.errors import BadRequest, Conflict, NotFound, QueueFull
from trimtab.store import workflow_runs, workflow_schema
from trimtab.workflows import Forks, ForkTerms, Inbox, Order, load_graph, move_run, points_of, retry_run


@pytest.fixture
def effects(tmp_path, monkeypatch):
    """Which nodes began, told since the last time."""
    file = tmp_path / "effects"
    file.touch()
    monkeypatch.setenv("EFFECTS", str(file))

    def told():
        lines = file.read_text().split()
        file.write_text("")
        return lines

    return told


class Place:
    """A house that hosts one graph, and what the tests do with it."""

    def __init__(self, served, graph):
        self.served, self.database, self.host = served, served.house.database, served.house.workflows
        self.graphs = {"work": load_graph("work", f"workflows.fork_graphs:{graph}")}
        self.forks = Forks(self.host, self.graphs, self.database)

    async def ran(self, **order):
        row = await self.host.start(Order("work", b'{"log": []}', **order))
        return await self.host.wait(row.id)

    async def forked(self, run, tenant=None, **terms):
        row = await self.forks.fork(tenant, run.id, ForkTerms(**terms))
        return await self.host.wait(row.id)

    async def points(self, run):
        return await self.database.run(lambda c: points_of(c, run, 100))

    async def log(self, run):
        return json.loads(run.output)["log"]


@pytest.fixture
async def place(serve, upstream, effects):
    async def made(graph, more=""):
        settings = f'{endpoint(upstream)}\n[workflow.work]\ngraph = "workflows.fork_graphs:{graph}"\n{more}'
        return Place(await serve(settings), graph)

    return made


async def test_a_finished_run_is_forked_from_any_step(place, effects, upstream):
    at = await place("letter")
    run = await at.ran(user="ada", priority=3, metadata=b'{"topic": "x"}')
    points = await at.points(run)
    assert [(p.step, p.to_come) for p in reversed(points)] == [
        (-1, ("__start__",)),
        (0, ("plan",)),
        (1, ("write",)),
        (2, ("send",)),
        (3, ()),
    ]
    assert effects() == ["plan", "write", "send"]
    for point, again in zip(points[1:], (1, 2, 3, 3), strict=True):
        fork = await at.forked(run, checkpoint=point.id)
        assert (fork.state, await at.log(fork)) == ("done", ["plan", "write kind", "send"])
        assert effects() == ["plan", "write", "send"][-again:]
        assert (fork.user, fork.priority, fork.workflow) == ("ada", 3, "work")
        assert fork.origin == f"fork:{run.id}:{point.id}"
        came_from = {"run_id": run.id, "checkpoint_id": point.id, "step": point.step}
        assert json.loads(fork.metadata) == {"topic": "x", "forked_from": came_from}
        assert fork.thread not in ("", run.thread)
    assert await at.host.find(run.id) == run
    assert await at.points(run) == points
    lines = await at.served.entries()
    assert sum(line.nanodollars for line in lines) == sum(cost(seen.billed) for seen in upstream.seen)
    assert Counter(line.run == run.id for line in lines) == {True: 1, False: 3}


async def test_a_fork_of_a_fork_names_its_own_parent(place):
    at = await place("letter")
    first = await at.forked(await at.ran(), step=1)
    second = await at.forked(first, step=2)
    assert json.loads(second.metadata)["forked_from"]["run_id"] == first.id
    assert await at.log(second) == ["plan", "write kind", "send"]


async def test_a_fork_goes_on_with_what_is_changed_as_a_node(place, effects):
    at = await place("letter")
    run = await at.ran()
    effects()
    fork = await at.forked(run, step=1, update={"tone": "curt"}, as_node="plan")
    assert await at.log(fork) == ["plan", "write curt", "send"]
    assert effects() == ["write", "send"]
    ended = await at.forked(run, update={"log": ["afterwards"]}, as_node="write")
    assert await at.log(ended) == ["plan", "write kind", "send", "afterwards", "send"]
    assert await at.log(run) == ["plan", "write kind", "send"]


async def test_where_a_run_failed_a_fork_keeps_what_other_nodes_of_the_step_have_done(place, effects):
    at = await place("fanned")
    run = await at.ran()
    assert (run.state, sorted(effects())) == ("failed", ["a", "b", "c"])
    fork = await at.forked(run)
    assert (fork.state, sorted(await at.log(fork))) == ("done", ["a", "b", "c", "send"])
    assert effects() == ["c", "send"]
    again = await at.forked(fork, step=0)
    assert sorted(effects()) == ["a", "b", "c", "send"]
    assert again.state == "done"


async def test_a_fork_of_a_waiting_run_asks_a_question_of_its_own(place, effects):
    at = await place("nested")
    run = await at.ran(tenant="acme")
    assert (run.state, effects()) == ("waiting", ["plan", "write"])
    fork = await at.forked(run)
    # The subgraph's finished node is not run again in the fork either.
    assert (fork.state, effects()) == ("waiting", [])
    inbox = Inbox(at.database)
    at.host.take_runs()
    for asked, answer in ((fork, "yes"), (run, "no")):
        (question,) = await inbox.open_of(asked.id)
        assert await inbox.answer("acme", asked.id, question.id, json.dumps(answer).encode())
        assert (await at.log(await at.host.wait(asked.id)))[-1] == answer
    # From before the subgraph all of it is done again.
    anew = await at.forked(fork, step=1)
    assert (anew.state, effects()) == ("waiting", ["write"])


async def test_what_cannot_be_forked_is_said(place, upstream):
    at = await place("letter")
    run = await at.ran(tenant="acme")
    before = await rows(at)
    for error, said, terms in (
        (NotFound, "no step 9 (it has steps -1 to 3)", {"step": 9}),
        (NotFound, "no checkpoint 'x'", {"checkpoint": "x"}),
        (BadRequest, "not both", {"step": 1, "checkpoint": "x"}),
        (BadRequest, "at its end at step 3", {}),
        (BadRequest, "cannot be made", {"step": 1, "update": {"tone": "curt"}, "as_node": "nobody"}),
        (BadRequest, "cannot be made", {"step": 1, "update": 7, "as_node": "plan"}),
    ):
        with pytest.raises(error) as refused:
            await at.forked(run, **terms)
        assert said in str(refused.value)
    with pytest.raises(NotFound, match="no hosted run"):
        await at.forked(run, tenant="other", step=1)
    assert await rows(at) == before
    upstream.always = hangs()
    driven = await at.host.start(Order("work", b'{"log": []}'))
    await upstream.arrivals(2)
    with pytest.raises(Conflict, match="is running; cancel it"):
        await at.forked(driven)
    await at.host.cancel(driven.id)


async def test_a_fork_that_is_refused_leaves_nothing(place, upstream):
    at = await place("letter", '[[tenant]]\nname = "acme"\nmax_runs = 1\nmax_queued_runs = 0\n')
    run = await at.ran(tenant="acme")
    upstream.always = hangs()
    driven = await at.host.start(Order("work", b'{"log": []}', "acme"))
    await upstream.arrivals(2)
    before = await rows(at)
    with pytest.raises(QueueFull):
        await at.forked(run, step=1)
    assert await rows(at) == before
    await at.host.cancel(driven.id)
    await at.host.wait(driven.id)


async def rows(at):
    names = ("run", "thread", "checkpoint", "write", "question")
    counts = [select(func.count()).select_from(getattr(workflow_schema, name)) for name in names]
    return await at.database.run(lambda c: [c.scalar(count) for count in counts])


async def test_a_failed_run_is_tried_again_but_not_once_its_thread_has_gone_on(place, effects):
    at = await place("fanned")
    at.host.take_runs()
    run = await at.ran(tenant="acme")
    for tenant, error in (("other", NotFound), ("acme", None)):
        if error is not None:
            with pytest.raises(error):
                await at.database.run(lambda c, tenant=tenant: retry_run(c, tenant, run.id))
    assert (await at.database.run(lambda c: retry_run(c, "acme", run.id))).state == "queued"
    assert (await at.host.wait(run.id)).state == "done"
    with pytest.raises(Conflict, match="is done; only a parked or failed"):
        await at.database.run(lambda c: retry_run(c, "acme", run.id))
    await at.ran(tenant="acme", thread=run.thread)
    await at.database.run(lambda c: set_state(c, run.id, "failed"))
    with pytest.raises(Conflict, match="has gone on since"):
        await at.database.run(lambda c: retry_run(c, "acme", run.id))


def set_state(connection, id, state, **more):
    mine = workflow_schema.run.c.id == id
    connection.execute(workflow_schema.run.update().where(mine).values(state=state, **more))


async def test_a_run_is_moved_to_another_version_that_has_the_node_to_come(place, effects):
    at = await place("nested")
    run = await at.ran(tenant="acme")
    named = load_graph("work", "workflows.fork_graphs:nested", "v2")
    lacks = load_graph("work", "workflows.fork_graphs:shorter", "v3")

    async def moved(hosted, tenant="acme"):
        return await at.database.run(lambda c: move_run(c, tenant, run.id, hosted, 10.0))

    with pytest.raises(Conflict, match="goes on with outer, which version v3-.* does not have"):
        await moved(lacks)
    with pytest.raises(NotFound):
        await moved(named, "other")
    assert (await moved(named)).version == named.version
    assert (await moved(at.graphs["work"])).version == run.version
    await at.database.run(lambda c: set_state(c, run.id, "running", owner=at.host.worker))
    with pytest.raises(Conflict, match="is driven by worker"):
        await moved(named)
    await at.database.run(lambda c: set_state(c, run.id, "done", owner=""))
    with pytest.raises(Conflict, match="nothing of it to move"):
        await moved(named)
    assert await at.database.run(lambda c: workflow_runs.find(c, run.id)) is not None
