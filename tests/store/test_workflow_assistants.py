"""Assistants: numbered versions, one of them the latest, whoever changes them at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from trimtab.store import AssistantRow, CronRow, workflow_assistants, workflow_crons

ROW = AssistantRow("acme", "a", 1, True, "work", "Ada's", "", b"{}", b"{}", '{"team":"red"}', 1.0, 1.0)
CRON = CronRow(
    "c", "acme", "", "", "a", "", "0 9 * * *", "", b"{}", "{}", True, "delete", None, 5.0, 1.0, 1.0
)


def add(database, row=ROW):
    return database.transact(lambda c: workflow_assistants.add(c, row))


def numbers(database, **facts):
    rows = database.read(lambda c: workflow_assistants.versions(c, "acme", "a", facts, 10, 0))
    return [(row.version, row.latest) for row in rows]


def append(database, row=ROW):
    def work(connection):
        workflow_assistants.lock(connection, row.tenant, row.id)
        return workflow_assistants.append(connection, row)

    return database.transact(work)


def test_an_id_is_given_once_in_a_tenant(database):
    assert add(database)
    assert not add(database, replace(ROW, name="another"))
    assert add(database, replace(ROW, tenant="other"))
    assert database.read(lambda c: workflow_assistants.find(c, "acme", "a")) == ROW


def test_versions_that_are_made_at_the_same_time_all_have_numbers_of_their_own(database):
    add(database)
    begun = threading.Barrier(4)

    def change(_):
        begun.wait(10)
        return append(database).version

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(4))) == [2, 3, 4, 5]
    assert numbers(database) == [(5, True), (4, False), (3, False), (2, False), (1, False)]


def test_a_version_that_is_there_can_be_the_latest(database):
    add(database)
    append(database, replace(ROW, metadata='{"team":"blue"}'))
    assert database.transact(lambda c: workflow_assistants.set_latest(c, "acme", "a", 1))
    assert not database.transact(lambda c: workflow_assistants.set_latest(c, "acme", "a", 7))
    assert numbers(database) == [(2, False), (1, True)]
    assert numbers(database, team="blue") == [(2, False)]


def test_a_search_looks_at_the_latest_versions_of_one_tenant(database):
    add(database)
    add(database, replace(ROW, id="b", workflow="more"))
    add(database, replace(ROW, tenant="other"))
    append(database, replace(ROW, metadata='{"team":"blue"}'))

    def ids(workflow=None, **facts):
        rows = database.read(lambda c: workflow_assistants.search(c, "acme", facts, workflow))
        return sorted(row.id for row in rows)

    assert (ids(), ids(team="red"), ids(team="blue"), ids("more")) == (["a", "b"], ["b"], ["a"], ["b"])


def test_with_an_assistant_go_its_versions_and_crons(database):
    add(database)
    append(database)
    database.transact(lambda c: workflow_crons.add(c, CRON))
    assert not database.transact(lambda c: workflow_assistants.remove(c, "other", "a"))
    assert database.transact(lambda c: workflow_assistants.remove(c, "acme", "a"))
    assert numbers(database) == []
    assert database.transact(lambda c: workflow_crons.find(c, "acme", "c")) is None
