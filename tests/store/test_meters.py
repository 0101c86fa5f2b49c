"""Meters and leases: no set of processes gets more than the limit, and the sums always agree."""

import threading

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trimtab.core import Charge
from trimtab.store import Ask, Database, meters, migrate, processes, url_of

from .made import hold, leases, meter, meter_row, rows

PROCESSES = ["p1", "p2", "p3"]


def enter(database, *names):
    for name in names:
        database.transact(lambda c, name=name: processes.enter(c, name, "host", 1, 1.0))


def ask(database, process, meter, need, want=0, sharers=1, force=False, now=1.0):
    asks = [Ask(meter, need, max(need, want), force)]
    return database.transact(lambda c: meters.grant(c, process, asks, sharers, now))[0]


def give_back(database, process, meter, amount):
    database.transact(lambda c: meters.give_back(c, process, {meter.id: amount}))


def settle(database, process, meter, amount):
    database.transact(lambda c: meters.settle(c, process, [Charge(meter.id, amount)]))


def test_a_process_gets_what_it_needs_and_a_fair_part_of_what_it_wants(database):
    m = meter(limit=1_000)
    assert ask(database, "p1", m, need=10, want=400, sharers=2).amount == 250
    assert ask(database, "p2", m, need=10, want=400, sharers=2).amount == 187
    assert meter_row(database, m) == (0, 437)


def test_the_tail_is_handed_out_call_by_call_to_the_last_nanodollar(database):
    m = meter(limit=100)
    amounts = []
    while (grant := ask(database, "p1", m, need=1, want=64, sharers=2)).amount:
        amounts.append(grant.amount)
    assert sum(amounts) == 100
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[-1] == 1


def test_a_need_is_met_whole_or_not_at_all(database):
    m = meter(limit=100)
    ask(database, "p1", m, need=70)
    grant = ask(database, "p2", m, need=31)
    assert (grant.amount, grant.free) == (0, 30)
    assert ask(database, "p2", m, need=30).amount == 30


def test_a_force_passes_the_limit_and_is_seen_by_all(database):
    m = meter(limit=100)
    assert ask(database, "p1", m, need=150, force=True).amount == 150
    assert ask(database, "p2", m, need=1).amount == 0


def test_a_wish_for_later_takes_nothing_that_is_not_there_and_makes_nobody_give_back(database):
    m = meter(limit=100)
    ask(database, "p1", m, need=100)
    assert ask(database, "p2", m, need=0, want=50).amount == 0
    assert database.transact(lambda c: meters.wanted(c, "p1", 100.0)) == set()


def test_grants_come_in_the_order_of_the_asks(database):
    b, a = meter("b", limit=640), meter("a", limit=64_000)
    asks = [Ask(b, 5, 5), Ask(a, 7, 7)]
    assert [g.amount for g in database.transact(lambda c: meters.grant(c, "p1", asks, 1, 1.0))] == [5, 7]


def test_an_unmet_need_makes_the_others_give_back(database):
    m = meter(limit=100)
    ask(database, "p1", m, need=100)
    assert database.transact(lambda c: meters.wanted(c, "p1", 100.0)) == set()
    ask(database, "p2", m, need=1, now=100.0)
    assert database.transact(lambda c: meters.wanted(c, "p1", 100.5)) == {m.id}
    assert database.transact(lambda c: meters.wanted(c, "p1", 150.0)) == set()
    assert database.transact(lambda c: meters.wanted(c, "p2", 100.5)) == set()


def test_a_raised_limit_counts_at_once(database):
    ask(database, "p1", meter(limit=10), need=10)
    assert ask(database, "p1", meter(limit=20), need=10).amount == 10
    assert rows(database, "meter")[0]["limit_amount"] == 20


def test_leases_are_brought_down_to_what_the_process_knows(database):
    m = meter(limit=100)
    ask(database, "p1", m, need=60)
    database.transact(lambda c: meters.level(c, "p1", {m.id: 25}))
    assert leases(database) == {("p1", m.id): 25}
    assert meter_row(database, m) == (0, 25)
    database.transact(lambda c: meters.level(c, "p1", {m.id: 0, "unknown": 0}))
    assert leases(database) == {}
    assert meter_row(database, m) == (0, 0)


def test_levelling_never_adds_to_a_lease(database):
    m = meter(limit=100)
    ask(database, "p1", m, need=20)
    database.transact(lambda c: meters.level(c, "p1", {m.id: 50}))
    assert meter_row(database, m) == (0, 20)


def test_windows_that_are_over_are_forgotten_but_budgets_are_kept(database):
    rate = meter("tenant/requests", unit="requests", resets_at=100.0)
    ask(database, "p1", rate, need=1)
    ask(database, "p1", meter(resets_at=100.0), need=1)
    database.transact(lambda c: meters.drop_expired(c, 150.0))
    assert len(rows(database, "meter")) == 2
    database.transact(lambda c: meters.drop_expired(c, 161.0))
    assert [row["unit"] for row in rows(database, "meter")] == ["nanodollars"]
    assert len(leases(database)) == 1


def test_holds_are_kept_whole(database):
    written = [hold("a", meters=[meter()]), hold("b")]
    database.transact(lambda c: meters.insert_holds(c, "p1", written))
    database.transact(lambda c: meters.insert_holds(c, "p2", [hold("c")]))
    assert database.transact(lambda c: meters.open_holds(c, "p1")) == written
    database.transact(lambda c: meters.delete_holds(c, ["a", "c", "none"]))
    assert database.transact(meters.open_holds) == [hold("b")]


def test_processes_that_ask_at_once_never_pass_the_limit(database):
    """Threads stand for processes: each has connections of its own."""
    m, got, failures = meter(limit=10_000), [], []

    def drain(name):
        try:
            while (grant := ask(database, name, m, need=37, want=300, sharers=4)).amount:
                got.append(grant.amount)
                if len(got) % 3 == 0:
                    settle(database, name, m, 37)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=drain, args=(f"p{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    settled, leased = meter_row(database, m)
    assert settled + leased == sum(got)
    assert 10_000 - 37 < sum(got) <= 10_000
    assert leased == sum(leases(database).values())


class Shares(RuleBasedStateMachine):
    """Several processes against one meter, beside a model made of three dictionaries."""

    folder = None

    @initialize(limit=st.integers(0, 500))
    def begin(self, limit):
        path = self.folder / "trimtab.sqlite"
        for each in self.folder.glob("trimtab.sqlite*"):
            each.unlink()
        path.write_bytes(self.fresh.read_bytes())
        self.database = Database(url_of("sqlite", self.folder))
        self.meter = meter(limit=limit)
        enter(self.database, *PROCESSES)
        self.leased = dict.fromkeys(PROCESSES, 0)
        self.settled = 0
        self.forced = 0

    def teardown(self):
        self.database.close()

    @rule(
        process=st.sampled_from(PROCESSES),
        need=st.integers(0, 200),
        want=st.integers(0, 200),
        sharers=st.integers(1, 3),
    )
    def ask(self, process, need, want, sharers):
        free = self.meter.limit - self.settled - sum(self.leased.values())
        grant = ask(self.database, process, self.meter, need, want, sharers)
        if need > free or free <= 0:
            assert grant.amount == 0
            assert grant.free == free
        else:
            assert need <= grant.amount <= max(need, free // (2 * sharers), 0)
            assert grant.free == free - grant.amount
        assert grant.settled == self.settled
        self.leased[process] += grant.amount

    @rule(process=st.sampled_from(PROCESSES), amount=st.integers(1, 50))
    def force(self, process, amount):
        free = self.meter.limit - self.settled - sum(self.leased.values())
        grant = ask(self.database, process, self.meter, amount, force=True)
        assert grant.amount == amount
        self.forced += max(0, amount - max(0, free))
        self.leased[process] += amount

    @rule(process=st.sampled_from(PROCESSES), part=st.integers(0, 100))
    def settle(self, process, part):
        amount = self.leased[process] * part // 100
        settle(self.database, process, self.meter, amount)
        self.leased[process] -= amount
        self.settled += amount

    @rule(process=st.sampled_from(PROCESSES), part=st.integers(0, 100))
    def give_back(self, process, part):
        amount = self.leased[process] * part // 100
        give_back(self.database, process, self.meter, amount)
        self.leased[process] -= amount

    @rule(process=st.sampled_from(PROCESSES), part=st.integers(0, 100))
    def level(self, process, part):
        amount = self.leased[process] * part // 100
        self.database.transact(lambda c: meters.level(c, process, {self.meter.id: amount}))
        self.leased[process] = amount

    @rule(process=st.sampled_from(PROCESSES), spent=st.integers(0, 100))
    def bury(self, process, spent):
        amount = self.leased[process] * spent // 100
        charges = [Charge(self.meter.id, amount)]

        def work(connection):
            meters.settle_unleased(connection, charges)
            meters.release_leases(connection, process)

        self.database.transact(work)
        self.settled += amount
        self.leased[process] = 0

    @invariant()
    def sums_agree(self):
        settled, leased = meter_row(self.database, self.meter)
        held = {process: amount for (process, _), amount in leases(self.database).items()}
        assert settled == self.settled
        assert leased == sum(held.values()) == sum(self.leased.values())
        assert all(held.get(process, 0) == amount for process, amount in self.leased.items())
        assert settled + leased <= self.meter.limit + self.forced


def test_leases_and_settlements_equal_a_simple_model(tmp_path, fresh_database):
    Shares.folder, Shares.fresh = tmp_path, fresh_database
    machine = Shares.TestCase
    machine.settings = settings(
        max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine().runTest()


@pytest.mark.parametrize("times", [1, 2])
def test_migration_may_run_twice(tmp_path, times):
    database = Database(url_of("sqlite", tmp_path))
    for _ in range(times):
        migrate(database)
    assert rows(database, "meter") == []
    database.close()
