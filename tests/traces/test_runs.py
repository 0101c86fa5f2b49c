"""Which runs are listed, and with what status."""

import pytest

from trimtab.core.errors import NotFound
from trimtab.store import Selection, Standing
from trimtab.traces import find_run, list_runs

from .made import START, call, entry, keep, outcome, paid

EVERYTHING = Selection()
STANDING = Standing({"lenient": 0.5}, START + 100)


def statuses(database, status=None):
    return {run.id: run.status for run in list_runs(database, EVERYTHING, STANDING, status, 50)}


@pytest.fixture
def some_runs(either):
    keep(
        either,
        call("c1", run="good", workflow="lenient"),
        outcome(0.6, run="good"),
        call("c2", run="bad", workflow="strict"),
        outcome(0.6, run="bad"),
        call("c3", run="silent"),
        call("c4", run="busy", at=500),
    )
    return either


def test_a_run_is_completed_not_completed_unknown_or_open(some_runs):
    expected = {"good": "completed", "bad": "not completed", "silent": "unknown", "busy": "open"}
    assert statuses(some_runs) == expected
    for run, status in expected.items():
        assert statuses(some_runs, status) == {run: status}


def test_a_run_that_its_client_ended_is_not_open_any_more(some_runs):
    some_runs.transact(lambda c: c.exec_driver_sql("UPDATE run SET ended = true WHERE id = 'busy'"))
    assert statuses(some_runs)["busy"] == "unknown"


def test_the_newest_run_comes_first_and_no_more_than_asked_for(some_runs):
    assert [run.id for run in list_runs(some_runs, EVERYTHING, STANDING, None, 1)] == ["busy"]


def test_a_listed_run_says_what_all_its_entries_cost(either):
    record = call("c1")
    keep(
        either,
        record,
        paid(record, 10),
        entry("tool", 5, kind="tool"),
        entry("who-knows", 0, certainty="unpriced"),
    )
    keep(either, entry("not-ours", 7, tenant="other"))
    costs = {
        run.tenant: (run.nanodollars, run.unpriced, run.calls)
        for run in list_runs(either, EVERYTHING, STANDING, None, 9)
    }
    assert costs == {"acme": (15, 1, 1), "other": (7, 0, 0)}


def test_runs_are_found_by_id_and_tenant(either):
    keep(either, call("c1", run="mine"), call("c2", run="shared"), call("c3", run="shared", tenant="other"))
    assert find_run(either, "mine", None, STANDING).tenant == "acme"
    assert find_run(either, "shared", "other", STANDING).tenant == "other"
    with pytest.raises(NotFound, match="several tenants"):
        find_run(either, "shared", None, STANDING)
    with pytest.raises(NotFound, match="no run 'nix' of tenant 'acme'"):
        find_run(either, "nix", "acme", STANDING)
