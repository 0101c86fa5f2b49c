"""What is deleted with time, and what never is."""

from trimtab.store import Selection, Standing
from trimtab.traces import Retention, cost_report, list_runs, prune

from .made import START, call, entry, keep, outcome, paid


def kept(database):
    ids = database.read(lambda c: [row[0] for row in c.exec_driver_sql("SELECT id FROM call ORDER BY id")])
    return [run.id for run in list_runs(database, Selection(), Standing(), None, 5000)], ids


class Still:
    """A clock that stands."""

    def __init__(self, moment):
        self._moment = moment

    def now(self):
        return self._moment

    monotonic = now


def test_old_runs_go_with_their_calls_and_young_ones_stay(either):
    old, young = call("c1", run="old"), call("c2", at=1000, run="young")
    keep(either, old, paid(old, 5), outcome(1.0, run="old"), young, paid(young, 7))
    gone = prune(either, START + 500)
    assert (gone.calls, gone.runs) == (1, 1)
    assert kept(either) == (["young"], ["c2"])


def test_no_ledger_entry_is_ever_deleted(either):
    old = call("c1")
    keep(either, old, paid(old, 5), entry("tool", 3, kind="tool"))
    before = cost_report(either, ("run", "kind"), Selection())
    prune(either, START + 500)
    assert cost_report(either, ("run", "kind"), Selection()) == before


def test_of_a_run_that_goes_on_only_the_old_calls_go(either):
    keep(either, call("c1", run="long"), call("c2", at=1000, run="long"))
    gone = prune(either, START + 500)
    assert (gone.calls, gone.runs) == (1, 0)
    assert kept(either) == (["long"], ["c2"])


def test_much_is_deleted_in_small_transactions(database):
    keep(database, *[call(f"a{i:04}", run="big", at=i / 1000) for i in range(450)])
    keep(database, *[call(f"b{i:04}", run=f"r{i:04}") for i in range(350)])
    keep(
        database,
        *[call(f"d{i:04}", run="long", at=i / 1000) for i in range(450)],
        call("last", run="long", at=1000),
    )
    steps = []
    gone = prune(database, START + 500, steps.append)
    assert (gone.calls, gone.runs) == (1250, 351)
    sizes = [after.calls - before.calls for before, after in zip(steps, steps[1:], strict=False)]
    assert max(sizes) <= 200
    assert kept(database) == (["long"], ["last"])


def test_nothing_old_is_nothing_deleted(database):
    keep(database, call("c1"))
    assert prune(database, START - 1) == prune(database, START - 1)
    assert kept(database) == (["r1"], ["c1"])


async def test_the_server_prunes_by_days(database):
    keep(database, call("c1", run="old"), call("c2", run="young", at=3 * 86400))
    gone = await Retention(database, Still(START + 4 * 86400), 2).prune()
    assert (gone.calls, gone.runs) == (1, 1)
    assert kept(database)[0] == ["young"]


async def test_zero_days_keep_everything(database):
    await Retention(database, Still(0), 0).run()
