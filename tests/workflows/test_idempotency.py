"""Names of hosted calls on their way to endpoints: each call its own, the same when its node is driven again."""

from gateway.upstream import hangs
from trimtab.workflows import Order
from trimtab.workflows.place import RunPlace, StepPlace

KEY = "idempotency-key"


def place():
    return RunPlace("r1", "acme", "ada", "k1", "work")


def test_a_name_tells_node_attempt_body_and_how_often_it_was_asked():
    here, node = place(), StepPlace("plan", "task1", 1)
    first, again, other = [here.name_call(node, body) for body in (b"a", b"a", b"b")]
    assert first.key.startswith("r1:task1:1:0:")
    assert again.key.startswith("r1:task1:1:1:")
    assert other.key.startswith("r1:task1:1:0:")
    retried = here.name_call(StepPlace("plan", "task1", 2), b"a")
    assert len({name.key for name in (first, again, other, retried)}) == 4
    assert retried.lasting == first.lasting
    assert here.name_call(StepPlace(), b"a") is None


def test_calls_side_by_side_have_the_same_names_in_whatever_order_they_are_made_again():
    node, bodies = StepPlace("plan", "task1", 1), (b"a", b"b", b"c")
    one, two = place(), place()
    first = {one.name_call(node, body) for body in bodies}
    assert first == {two.name_call(node, body) for body in reversed(bodies)}


async def test_every_call_of_a_hosted_run_carries_its_name(hosting, upstream):
    served = await hosting("everything")
    host = served.house.workflows
    run = await host.wait((await host.start(Order("work", b'{"log": []}', "acme"))).id)
    assert run.state == "done"
    keys = [seen.headers[KEY] for seen in upstream.seen]
    assert len(set(keys)) == len(keys) == 7
    for key in keys:
        owner, task, attempt, ordinal, digest, model = key.split(":")
        assert (owner, attempt, ordinal, model) == (run.id, "1", "0", "gpt-small")
        assert task
        assert digest


async def test_a_nodes_own_name_for_a_call_is_told_apart_by_tenant(hosting, upstream):
    served = await hosting("naming")
    host = served.house.workflows
    for tenant in ("acme", "acme", "rival"):
        await host.wait((await host.start(Order("work", b'{"log": []}', tenant))).id)
    first, second, foreign = [seen.headers[KEY] for seen in upstream.seen]
    assert first == second != foreign
    assert "mine" not in first


async def test_a_call_that_is_made_again_because_its_leg_was_stopped_has_the_same_name(hosting, upstream):
    upstream.then(hangs())
    served = await hosting("naming_nothing")
    host = served.house.workflows
    row = await host.start(Order("work", b'{"log": []}', "acme"))
    await upstream.arrivals(1)
    await host.drain(0.05)
    assert (await host.find(row.id)).state == "queued"
    assert (await host.take(row.id)).claim == 2
    assert (await host.wait(row.id)).state == "done"
    first, again = [seen.headers[KEY] for seen in upstream.seen]
    assert first == again
