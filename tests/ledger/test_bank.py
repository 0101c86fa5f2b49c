"""The whole ledger against a simple model: several processes, crashes, lost answers, burials, repeated tools.

Hypothesis plays the day. After every step the books must agree; in the end every hold has exactly one line.
"""

import asyncio
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from store.made import FlakyDatabase, Hands, leases, rows
from trimtab.core.errors import BudgetExceeded, LedgerUnavailable, StoreUnavailable
from trimtab.store import Database, recover_journals, url_of

from .bank import DAY_LIMIT, LEASE_SECONDS, RUN_LIMIT, Branch

BRANCH = st.integers(0, 2)
RUN = st.sampled_from(["run-1", "run-2", "run-3", "run-4", "run-5"])


class Bank(RuleBasedStateMachine):
    """Three branches; whatever happens to one, no money is spent that is not there, and none is lost."""

    fresh: Path
    silence = False

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed):
        self.temporary = tempfile.TemporaryDirectory()
        folder = Path(self.temporary.name)
        (folder / "trimtab.sqlite").write_bytes(self.fresh.read_bytes())
        self.root = folder / "journal"
        self.runner = asyncio.Runner()
        self.clock = Hands()
        self.database = FlakyDatabase(url_of("sqlite", folder), seed)
        self.books = Database(url_of("sqlite", folder))
        self.branches = [self.enter() for _ in range(3)]
        self.worst, self.charged, self.released, self.tools = {}, {}, set(), {}
        self.forced = 0
        self.crashed = set()

    def enter(self):
        return Branch(self.database, self.root, self.clock).open()

    def do(self, work, *refusals):
        """Run it; whatever a bad line may raise is part of the play."""
        try:
            return self.runner.run(work)
        except (StoreUnavailable, LedgerUnavailable, *refusals):
            return None

    @rule(lost=st.sampled_from([0.0, 0.3]), answers=st.sampled_from([0.0, 0.3]))
    def weather(self, lost, answers):
        self.database.lost, self.database.answers_lost = lost, answers

    @rule(branch=BRANCH, run=RUN, worst=st.integers(1, 900))
    def hold(self, branch, run, worst):
        held = self.do(self.branches[branch].hold(worst, run), BudgetExceeded)
        if held is not None:
            self.worst[held.id] = (worst, held)

    @rule(branch=BRANCH, pick=st.integers(0), percent=st.integers(0, 100))
    def settle(self, branch, pick, percent):
        place = self.branches[branch]
        if place.open_holds:
            id = sorted(place.open_holds)[pick % len(place.open_holds)]
            amount = self.worst[id][0] * percent // 100
            self.runner.run(place.settle(id, amount))
            self.charged[id] = amount

    @rule(branch=BRANCH, pick=st.integers(0))
    def release(self, branch, pick):
        place = self.branches[branch]
        if place.open_holds:
            id = sorted(place.open_holds)[pick % len(place.open_holds)]
            place.release(id)
            self.released.add(id)

    @rule(branch=BRANCH, tool=st.integers(1, 4), run=RUN)
    def use_tool(self, branch, tool, run):
        id, amount = f"tool:{run}:{tool}", tool * 10
        if self.do(self.branches[branch].tool(id, amount, run)) is not None:
            self.tools[id] = amount
            self.forced += amount

    @rule(branch=BRANCH)
    def apply(self, branch):
        self.do(self.branches[branch].writer.flush())

    @rule(branch=BRANCH, seconds=st.sampled_from([0.5, 0.5, 0.5, 40.0]))
    def beat(self, branch, seconds):
        self.clock.at += seconds if seconds < LEASE_SECONDS or not self.silence else 0.5
        self.do(self.branches[branch].keeper._beat())

    @rule(branch=BRANCH, torn=st.booleans())
    def crash(self, branch, torn):
        dead = self.branches[branch]
        dead.crash()
        self.crashed |= set(dead.open_holds)
        if torn:
            with next(dead.journal.folder.glob("*.log")).open("ab") as file:
                file.write(b"\x30\0\0\0torn")
        self.clear_weather()
        self.branches[branch] = self.enter()

    @precondition(lambda self: self.silence)
    @rule(branch=BRANCH)
    def fall_silent(self, branch):
        """One branch is not heard of for a whole lease, while the others look on; then it goes on."""
        self.clear_weather()
        for _ in range(int(LEASE_SECONDS) + 2):
            self.clock.at += 1.0
            for number, place in enumerate(self.branches):
                if number != branch:
                    self.do(place.keeper._beat())

    def clear_weather(self):
        self.database.lost = self.database.answers_lost = 0.0

    @invariant()
    def the_books_agree(self):
        if not hasattr(self, "books"):
            return
        leased = leases(self.books)
        lines = rows(self.books, "entry")
        for meter in rows(self.books, "meter"):
            of_meter = [amount for (_, id), amount in leased.items() if id == meter["id"]]
            assert meter["leased"] == sum(of_meter)
            assert meter["settled"] == sum(self.charge(line, meter["id"]) for line in lines)
            if not self.silence:
                assert min(of_meter, default=0) >= 0
                assert meter["settled"] + meter["leased"] <= meter["limit_amount"] + self.forced

    def charge(self, line, meter_id):
        """What an entry charged to a meter: all fall under the day, and under their own run."""
        own = "tenant/day|" in meter_id or f"/{line['run']}|" in meter_id
        return line["nanodollars"] if own else 0

    @invariant()
    def what_is_spent_or_may_be_is_within_the_limits(self):
        if not hasattr(self, "books") or self.silence:
            return
        exposed = {
            id: self.charged.get(id, worst)
            for id, (worst, _) in self.worst.items()
            if id not in self.released
        }
        assert sum(exposed.values()) <= DAY_LIMIT + self.forced
        for run in {held.run for _, held in self.worst.values()}:
            of_run = sum(amount for id, amount in exposed.items() if self.worst[id][1].run == run)
            assert of_run <= RUN_LIMIT + self.forced

    @invariant()
    def memory_and_database_agree_where_nothing_is_under_way(self):
        if not hasattr(self, "books"):
            return
        leased = leases(self.books)
        live = {row["id"] for row in rows(self.books, "process") if row["state"] == "live"}
        for place in self.branches:
            if place.at_rest and place.name in live:
                mine = {
                    meter: amount
                    for (process, meter), amount in leased.items()
                    if process == place.name and amount
                }
                assert mine == place.wholes()

    def teardown(self):
        if not hasattr(self, "books"):
            return
        self.clear_weather()
        for number, place in enumerate(self.branches):
            for id in sorted(place.open_holds):
                self.settle(number, 0, 50)
                assert id in self.charged
            self.do(place.keeper._beat())
            self.the_books_agree()
            self.runner.run(place.close())
        assert recover_journals(self.database, self.root, self.clock.now()) == []
        self.every_hold_has_its_line()
        self.runner.close()
        self.database.close()
        self.books.close()
        self.temporary.cleanup()

    def every_hold_has_its_line(self):
        lines = {row["id"]: row for row in rows(self.books, "entry")}
        assert rows(self.books, "hold") == []
        assert leases(self.books) == {}
        assert all(row["leased"] == 0 for row in rows(self.books, "meter"))
        for id, (worst, _) in self.worst.items():
            line = lines.pop(id, None)
            if id in self.released:
                assert line is None or (self.silence and line["certainty"] == "worst_case")
            elif line["certainty"] == "worst_case":
                assert line["nanodollars"] == worst
                assert id in self.crashed or self.silence
            else:
                assert line["nanodollars"] == self.charged[id]
                assert id not in self.crashed
        for id, line in lines.items():
            if id in self.tools:
                assert line["nanodollars"] == self.tools[id]
            else:
                # The hold was written, but its process was told that the database is away.
                assert line["certainty"] == "worst_case"


def play(fresh, silence, examples):
    logging.getLogger("trimtab").setLevel(logging.CRITICAL)
    Bank.fresh, Bank.silence = fresh, silence
    Bank.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
    )
    Bank.TestCase().runTest()


@pytest.fixture(autouse=True)
def _levels():
    logger = logging.getLogger("trimtab")
    before = logger.level
    yield
    logger.setLevel(before)


def test_crashes_and_lost_answers_cost_nobody_a_nanodollar(fresh_database):
    play(fresh_database, silence=False, examples=25)


def test_burials_of_the_living_leave_the_books_in_order(fresh_database):
    play(fresh_database, silence=True, examples=25)
