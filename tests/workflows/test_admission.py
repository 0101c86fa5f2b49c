"""Places of tenants: one counter each, exact whatever happens to runs; full is refused at once; turns are fair."""

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.upstream import hangs
from trimtab.core.errors import QueueFull
from trimtab.store import (
    Hosting,
    Limits,
    PlaceLimits,
    WorkerRow,
    workflow_claims,
    workflow_places,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows import Order
from workflows.test_saver import row

ROOMY = PlaceLimits(1, 1_000)
HOSTING = Hosting("me", frozenset({("w", "1")}), 10.0, 2)


def add(database, id, tenant="acme", limits=ROOMY, at_once=False, **facts):
    """A new run where there is a place; its state."""

    def work(connection):
        state = workflow_places.admit(connection, tenant, limits, at_once=at_once)
        if state is not None:
            workflow_runs.add(connection, row(id, tenant=tenant, state=state, owner="", **facts))
        return state

    return database.transact(work)


def claim(database, limits, most=100, hosting=HOSTING):
    return database.transact(lambda c: workflow_claims.claim_queued(c, hosting, limits, most))


def test_only_as_many_are_admitted_as_there_are_places_and_the_rest_leaves_nothing(database):
    limits = PlaceLimits(running=3, queued=4)
    with ThreadPoolExecutor(3) as pool:
        states = list(pool.map(lambda n: add(database, f"r{n:02}", limits=limits, at_once=True), range(20)))
    assert Counter(states) == {"running": 3, "queued": 4, None: 13}
    assert database.transact(workflow_places.everyone) == {"acme": (4, 3)}
    found = [database.transact(lambda c, n=n: workflow_runs.find(c, f"r{n:02}")) for n in range(20)]
    assert [one and one.state for one in found] == states


def test_a_queued_run_is_claimed_once_by_whoever_comes_first(database):
    for number in range(12):
        add(database, f"r{number:02}")
    limits = Limits(PlaceLimits(8, 100))
    hostings = [Hosting(worker, HOSTING.graphs, 10.0, 2) for worker in "abc"]
    with ThreadPoolExecutor(3) as pool:
        taken = list(pool.map(lambda hosting: claim(database, limits, 6, hosting), hostings))
    ids = [run.id for rows in taken for run in rows]
    assert len(ids) == len(set(ids))
    # Whoever is passed over on PostgreSQL because another looks at the same rows comes again.
    ids += [run.id for run in claim(database, limits)]
    assert len(set(ids)) == len(ids) == 8
    assert database.transact(workflow_places.everyone) == {"acme": (4, 8)}


def test_turns_are_fair_between_tenants_and_by_priority_within_one(database):
    for number in range(50):
        add(database, f"a{number:02}", "greedy", priority=number == 40)
    for number in range(2):
        add(database, f"b{number:02}", "modest")
    limits = Limits(PlaceLimits(5, 100), {})
    assert {run.id for run in claim(database, limits, 4)} == {"a40", "a00", "b00", "b01"}
    assert database.transact(workflow_places.everyone) == {"greedy": (48, 2), "modest": (0, 2)}
    assert len(claim(database, limits)) == 3
    assert claim(database, limits) == []


@pytest.mark.parametrize("seed", range(3))
def test_counters_are_exact_whatever_happens_to_runs(database, seed):
    chance = random.Random(seed)
    limits = Limits(PlaceLimits(3, 5))
    ids = [f"r{number:02}" for number in range(15)]
    tenants = {id: chance.choice("ab") for id in ids}
    states = ("queued", "done", "failed", "waiting", "cancelled")
    for id in ids:
        add(database, id, tenants[id], limits.others, chance.random() < 0.5)
    moves = [
        lambda c, id: workflow_claims.claim_queued(c, HOSTING, limits, 2),
        lambda c, id: workflow_claims.claim_lost(c, HOSTING, 2),
        lambda c, id: workflow_claims.claim_one(c, HOSTING, id),
        lambda c, id: workflow_runs.end_leg(c, workflow_runs.find(c, id) or row(id), chance.choice(states)),
        lambda c, id: workflow_runs.reopen(c, id, ("parked", "failed", "waiting")),
        lambda c, id: workflow_runs.ask_cancel(c, id),
    ]
    for _ in range(80):
        move, id = chance.choice(moves), chance.choice(ids)
        database.transact(lambda c, move=move, id=id: move(c, id))
    runs = [database.transact(lambda c, id=id: workflow_runs.find(c, id)) for id in ids]
    counted = {
        tenant: tuple(
            sum(run is not None and (run.tenant, run.state) == (tenant, state) for run in runs)
            for state in ("queued", "running")
        )
        for tenant in "ab"
    }
    assert database.transact(workflow_places.everyone) == counted


def test_a_run_of_a_worker_that_lives_is_not_lost(database):
    add(database, "r1")
    (taken,) = claim(database, Limits(PlaceLimits(1, 1)))
    database.transact(lambda c: workflow_workers.beat(c, WorkerRow("me", "host", 1, 0.0, False)))
    assert taken.owner == "me"
    assert database.transact(lambda c: workflow_claims.claim_lost(c, HOSTING, 9)) == []
    database.transact(lambda c: workflow_workers.leave(c, "me"))
    assert [run.claim for run in database.transact(lambda c: workflow_claims.claim_lost(c, HOSTING, 9))] == [
        taken.claim + 1
    ]


async def test_a_house_drives_so_many_queues_so_many_and_refuses_the_rest(hosting, upstream):
    upstream.always = hangs()
    served = await hosting("everything", '[[tenant]]\nname = "acme"\nmax_runs = 1\nmax_queued_runs = 1\n')
    host = served.house.workflows
    host.take_runs()
    order = Order("work", b'{"log": []}', "acme")
    first, second = await host.start(order), await host.start(order)
    assert (first.state, second.state) == ("running", "queued")
    with pytest.raises(QueueFull) as refused:
        await host.start(order)
    assert refused.value.retry_after_seconds == 5.0
    await upstream.arrivals(1)
    began = asyncio.get_running_loop().time()
    await host.cancel(first.id)
    await upstream.arrivals(2)
    assert asyncio.get_running_loop().time() - began < 2
    assert (await host.find(second.id)).state == "running"
    await host.cancel(second.id)
    assert (await host.wait(second.id)).state == "cancelled"
