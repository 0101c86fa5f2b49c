"""The backlog: its formula, what it counts on both databases, and how seldom it asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.config import HostingSettings
from trimtab.core.errors import StoreUnavailable
from trimtab.store import (
    BacklogRows,
    Database,
    WaitingRow,
    WorkerRow,
    url_of,
    workflow_backlog,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows import BacklogReader
from trimtab.workflows.backlog import estimate
from workflows.made import lay_run

ALIVE = WorkerRow("w1", "here", 1, 0.0, False)


def rows(waiting, means, workers=(ALIVE,)):
    return BacklogRows(100.0, tuple(waiting), means, tuple(workers))


def test_the_backlog_is_queued_runs_times_mean_seconds_over_places():
    waiting = [WaitingRow("slow", "", 6, 1, 40.0), WaitingRow("quick", "", 10, 0, 90.0)]
    told = estimate(rows(waiting, {"slow": 4.0, "quick": 0.5}), 4, ("quick", "slow", "idle"))
    assert (told.places, told.queued, told.running, told.work_seconds) == (4, 16, 1, 29.0)
    assert (told.backlog_seconds, told.oldest_queued_seconds) == (7.25, 60.0)
    parts = {part.workflow: part for part in told.workflows}
    assert (parts["slow"].backlog_seconds, parts["quick"].backlog_seconds) == (6.0, 1.25)
    assert (parts["idle"].queued, parts["idle"].backlog_seconds) == (0, 0.0)


def test_a_workflow_nobody_finished_yet_takes_the_mean_of_the_others():
    told = estimate(rows([WaitingRow("new", "", 2, 0, 1.0)], {"a": 1.0, "b": 3.0}), 1, ("new",))
    assert told.backlog_seconds == 4.0
    assert estimate(rows([WaitingRow("new", "", 2, 0, 1.0)], {}), 1, ("new",)).backlog_seconds == 2.0


def test_without_a_worker_there_is_a_backlog_to_begin_one_by():
    drains = WorkerRow("w1", "here", 1, 0.0, True)
    told = estimate(rows([WaitingRow("a", "", 3, 0, 1.0)], {"a": 2.0}, [drains]), 64, ("a",))
    assert (told.workers, told.places, told.backlog_seconds) == (0, 0, 6.0)


def test_a_partition_is_told_apart_with_the_workers_that_drive_it():
    waiting = [WaitingRow("a", "eu", 4, 0, 1.0), WaitingRow("a", "", 100, 0, 1.0)]
    pinned = WorkerRow("w2", "here", 2, 0.0, False, "eu us")
    told = estimate(rows(waiting, {"a": 1.0}, [ALIVE, pinned]), 2, ("a",), "eu")
    assert (told.workers, told.queued, told.backlog_seconds) == (1, 4, 2.0)
    assert estimate(rows(waiting, {"a": 1.0}, [ALIVE, pinned]), 2, ("a",), "").workers == 1


def test_what_is_not_hosted_by_name_is_other():
    told = estimate(rows([WaitingRow(f"old{n}", "", 1, 0, 1.0) for n in range(9)], {}), 1, ("a",))
    assert [(part.workflow, part.queued) for part in told.workflows] == [("a", 0), ("other", 9)]


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.0, 100.0), st.integers(1, 100))
def test_more_work_never_makes_a_smaller_backlog_and_more_places_never_a_larger(queued, more, mean, places):
    def backlog(count, size):
        waiting = [WaitingRow("a", "", count, 0, 1.0)]
        return estimate(rows(waiting, {"a": mean}), size, ("a",)).backlog_seconds

    assert backlog(queued + more, places) >= backlog(queued, places)
    assert backlog(queued, places + 1) <= backlog(queued, places)


def test_the_store_tells_what_waits_and_how_long_runs_were_driven(database):
    def lay(connection):
        now = workflow_workers.time_now(connection)
        lay_run(connection, "q1", state="queued", created_at=now - 500, updated_at=now - 30)
        lay_run(connection, "q2", state="queued", begin_at=now - 10, updated_at=now - 400)
        lay_run(connection, "later", state="queued", begin_at=now + 60)
        lay_run(connection, "r1", state="running")
        lay_run(connection, "w1", state="waiting")
        for number, seconds in enumerate((1.0, 2.0, 6.0)):
            lay_run(connection, f"d{number}", state="done", driven_seconds=seconds)
        lay_run(connection, "f1", workflow="other", state="failed", driven_seconds=5.0)
        workflow_workers.beat(connection, ALIVE)

    database.transact(lay)
    read = database.transact(lambda c: workflow_backlog.read(c, 10.0))
    (waiting,) = read.waiting
    assert (waiting.workflow, waiting.queued, waiting.running) == ("work", 2, 1)
    assert read.at - waiting.oldest_at == pytest.approx(30.0, abs=5.0)
    assert read.mean_seconds == {"work": 3.0, "other": 5.0}
    assert [worker.id for worker in read.workers] == ["w1"]


def test_a_leg_adds_the_seconds_it_was_driven(database):
    def lay(connection):
        now = workflow_workers.time_now(connection)
        lay_run(connection, "r1", state="running", updated_at=now - 7, driven_seconds=3.0)
        row = workflow_runs.find(connection, "r1")
        assert workflow_runs.end_leg(connection, row, "done")
        return workflow_runs.find(connection, "r1")

    assert database.transact(lay).driven_seconds == pytest.approx(10.0, abs=2.0)


class Counting:
    """A database that counts what it is asked."""

    def __init__(self, database):
        self.database, self.asked = database, 0

    async def run(self, work, seconds):
        self.asked += 1
        return await self.database.run(work, seconds)


async def test_the_store_is_asked_at_most_once_a_second(database, clock):
    counting = Counting(database)
    reader = BacklogReader(counting, HostingSettings(), ("work",), clock)
    database.transact(lambda c: lay_run(c, "q1", state="queued"))
    assert {(await reader.read()).queued for _ in range(5)} == {1}
    assert counting.asked == 1
    database.transact(lambda c: lay_run(c, "q2", state="queued"))
    clock.ahead += 1.0
    assert (await reader.read()).queued == 2
    assert counting.asked == 2


async def test_a_store_that_is_away_is_said_at_once_and_not_asked_again_within_the_second(tmp_path, clock):
    counting = Counting(Database(url_of("postgresql://127.0.0.1:1/none", tmp_path)))
    reader = BacklogReader(counting, HostingSettings(), ("work",), clock)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await reader.read()
    assert counting.asked == 1
    counting.database.close()
