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
    workflow_threads,
    workflow_workers,
)
from trimtab.workflows import Order
from trimtab.workflows.admission import admit
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


def test_runs_at_once_make_their_thread_once_and_a_refused_one_leaves_none(database):
    limits = PlaceLimits(running=0, queued=3)

    def begin(number):
        id, thread = f"r{number:02}", f"t-{number % 2}"
        order = Order("w", b"{}", "acme", thread=thread, makes_thread=True)
        made = row(id, tenant="acme", thread=thread, state="queued", owner="")
        try:
            return database.transact(lambda c: admit(c, order, made, limits, at_once=False)).row.thread
        except QueueFull:
            return None

    with ThreadPoolExecutor(3) as pool:
        threads = list(pool.map(begin, (0, 2, 4)))
    assert threads == ["t-0"] * 3
    assert begin(5) is None
    assert database.transact(lambda c: workflow_threads.count_all(c, "acme")) == 1
    assert database.transact(workflow_places.everyone) == {"acme": (3, 0)}


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
        add(database, f"a{number:02}", "greedy", priority=int(number == 40))
    for number in range(2):
        add(database, f"b{number:02}", "modest")
    limits = Limits(PlaceLimits(5, 100), {})
    assert {run.id for run in claim(database, limits, 4)} == {"a40", "a00", "b00", "b01"}
    assert database.transact(workflow_places.everyone) == {"greedy": (48, 2), "modest": (0, 2)}
    assert len(claim(database, limits)) == 3
    assert claim(database, limits) == []


def test_a_pinned_run_is_driven_only_by_workers_of_its_partition(database):
    add(database, "r1", partition="eu")
    add(database, "r2")
    limits = Limits(ROOMY)
    european = Hosting("them", HOSTING.graphs, 10.0, 2, frozenset({"eu"}))
    assert [run.id for run in claim(database, limits, hosting=HOSTING)] == ["r2"]
    assert [run.id for run in claim(database, Limits(PlaceLimits(5, 5)), hosting=european)] == ["r1"]


def test_the_more_urgent_deadline_goes_first_and_what_is_not_due_waits(database):
    add(database, "r1", begin_at=4e9)
    add(database, "r2", deadline=2e9)
    add(database, "r3", deadline=1e9)
    limits = Limits(PlaceLimits(5, 5))
    assert [run.id for run in claim(database, limits, most=1)] == ["r3"]
    assert [run.id for run in claim(database, limits)] == ["r2"]


def test_runs_of_one_thread_are_driven_one_after_the_other(database):
    add(database, "r1", thread="t")
    add(database, "r2", thread="t", priority=9)
    limits = Limits(PlaceLimits(5, 5))
    (first,) = claim(database, limits)
    assert first.id == "r1"
    assert claim(database, limits) == []
    database.transact(lambda c: workflow_runs.end_leg(c, first, "done"))
    assert [run.id for run in claim(database, limits)] == ["r2"]


def test_what_is_not_due_holds_up_nothing_in_its_thread(database):
    add(database, "r1", thread="t", begin_at=4e9)
    add(database, "r2", thread="t")
    assert [run.id for run in claim(database, Limits(PlaceLimits(5, 5)))] == ["r2"]


def test_a_run_whose_end_was_asked_for_does_not_wait_for_an_answer(database):
    add(database, "r1")
    (taken,) = claim(database, Limits(PlaceLimits(5, 5)))
    database.transact(lambda c: workflow_runs.ask_cancel(c, "r1", rolls_back=True))
    database.transact(lambda c: workflow_runs.ask_cancel(c, "r1"))
    ended = database.transact(lambda c: workflow_runs.end_leg(c, taken, "waiting"))
    assert ended.state == "cancelled"
    # It was to be rolled back, and a plain cancel does not take that back.
    assert database.transact(lambda c: workflow_runs.find(c, "r1")) is None
    assert database.transact(workflow_places.everyone) == {"acme": (0, 0)}


def test_a_queued_run_fails_when_its_deadline_has_passed(database):
    add(database, "r1", deadline=5.0)
    add(database, "r2", deadline=4e9)
    database.transact(workflow_claims.fail_late)
    states = [database.transact(lambda c, id=id: workflow_runs.find(c, id)).state for id in ("r1", "r2")]
    assert states == ["failed", "queued"]
    assert database.transact(workflow_places.everyone) == {"acme": (1, 0)}


def test_a_driven_run_is_not_discarded_and_a_queued_one_leaves_no_place_taken(database):
    add(database, "r1")
    add(database, "r2")
    (taken,) = claim(database, Limits(PlaceLimits(1, 5)), most=1)
    gone = [database.transact(lambda c, id=id: workflow_runs.discard(c, id)) for id in ("r1", "r2")]
    assert gone == [taken.id != "r1", taken.id != "r2"]
    assert database.transact(workflow_places.everyone) == {"acme": (0, 1)}


def test_a_rate_refuses_what_comes_too_soon_and_says_how_long(database):
    limits = PlaceLimits(5, 5, a_minute=2)

    def ask(now):
        return database.transact(lambda c: workflow_places.take_turn(c, "acme", limits, now))

    assert [ask(1000.0), ask(1000.0)] == [0.0, 0.0]
    assert ask(1000.0) == pytest.approx(30.0)
    assert ask(1015.0) == pytest.approx(15.0)
    assert ask(1031.0) == 0.0


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
