"""Crons: found when they are due, taken by one, listed for one tenant."""

import threading
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from trimtab.store import CronQuery, CronRow, workflow_crons

ROW = CronRow(
    "c", "acme", "ada", "k", "a", "", "0 9 * * *", "", b"{}", "{}", True, "delete", None, 100.0, 1.0, 1.0
)


def add(database, *rows):
    database.transact(lambda c: [workflow_crons.add(c, row) for row in rows])


def search(database, **asked):
    rows = database.read(lambda c: workflow_crons.search(c, "acme", CronQuery(**asked)))
    counted = database.read(lambda c: workflow_crons.count(c, "acme", CronQuery(**asked)))
    return [row.id for row in rows], counted


def test_what_is_due_is_told_in_its_order_page_by_page(database):
    add(database, ROW, replace(ROW, id="d"), replace(ROW, id="e", next_at=50.0))
    add(database, replace(ROW, id="later", next_at=101.0), replace(ROW, id="off", enabled=False))
    add(database, replace(ROW, id="never", next_at=None))

    def due(after, limit):
        return [row.id for row in database.read(lambda c: workflow_crons.due(c, 100.0, after, limit))]

    assert due((0.0, ""), 2) == ["e", "c"]
    assert due((100.0, "c"), 2) == ["d"]


def test_of_many_who_take_a_due_cron_one_gets_it(database):
    row = replace(ROW, next_at=1_700_000_000.123456)
    add(database, row)
    begun = threading.Barrier(4)

    def take(_):
        begun.wait(10)
        return database.transact(lambda c: workflow_crons.move(c, row, 1_700_000_060.0))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(take, range(4))) == [False, False, False, True]
    assert database.transact(lambda c: workflow_crons.find(c, "acme", "c")).next_at == 1_700_000_060.0


def test_what_is_never_due_again_is_not_enabled_any_more(database):
    add(database, ROW)
    assert database.transact(lambda c: workflow_crons.move(c, ROW, None))
    row = database.transact(lambda c: workflow_crons.find(c, "acme", "c"))
    assert (row.enabled, row.next_at) == (False, None)


def test_a_list_is_narrowed_sorted_and_cut(database):
    add(
        database,
        ROW,
        replace(ROW, id="d", thread="t", enabled=False, metadata='{"team":"red"}', next_at=None),
    )
    add(database, replace(ROW, id="e", assistant="b", next_at=9.0), replace(ROW, id="x", tenant="other"))
    assert search(database, sort_by="cron_id", ascending=True, limit=2) == (["c", "d"], 3)
    assert search(database, sort_by="next_run_date", ascending=True) == (["e", "c", "d"], 3)
    assert search(database, sort_by="next_run_date") == (["c", "e", "d"], 3)
    assert search(database, thread="t") == search(database, enabled=False) == (["d"], 1)
    assert search(database, metadata={"team": "red"}) == (["d"], 1)
    assert search(database, assistant="b") == (["e"], 1)


def test_with_a_thread_go_its_crons_and_no_others(database):
    add(database, replace(ROW, thread="t"), replace(ROW, id="d"))
    add(database, replace(ROW, id="x", tenant="other", thread="t"))
    database.transact(lambda c: workflow_crons.remove_of_thread(c, "acme", "t"))
    assert search(database) == (["d"], 1)
    assert database.transact(lambda c: workflow_crons.find(c, "other", "x")) is not None


def test_another_tenants_cron_is_neither_found_nor_removed(database):
    add(database, ROW)
    assert database.transact(lambda c: workflow_crons.find(c, "other", "c")) is None
    assert not database.transact(lambda c: workflow_crons.remove(c, "other", "c"))
    assert database.transact(lambda c: workflow_crons.remove(c, "acme", "c"))
