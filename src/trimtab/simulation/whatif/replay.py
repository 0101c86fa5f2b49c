"""Recorded calls led once more through the rules that serve, under other settings, in the order they were made."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec

from trimtab.budgets import KeyLimit, WindowName, window_at
from trimtab.config import PriceTable, Settings, WorkflowSettings
from trimtab.core import Attribution
from trimtab.core.errors import BudgetExceeded, RateLimited
from trimtab.routing import Policy
from trimtab.simulation.whatif.evidence import Evidence, Pace
from trimtab.simulation.whatif.fate import Fate, Walk, as_recorded, place_of, refused
from trimtab.simulation.whatif.market import Market, allows
from trimtab.simulation.whatif.runs import RunBook
from trimtab.simulation.whatif.tally import Tally
from trimtab.simulation.whatif.trail import Recorded, recorded_calls
from trimtab.simulation.whatif.wallet import Pocket, Wallet
from trimtab.store import Database, OtherRow, Selection, histories

_FOLD_EVERY = 4_096
_OTHERS_SECONDS = 3_600.0
_PLAIN = WorkflowSettings()
_ASKED_AGAIN = ("", BudgetExceeded.code, RateLimited.code, "model_not_found")
Progress = Callable[[int, int], None]


class Trial(msgspec.Struct, frozen=True):
    """What is tried: `settings` with the policies and prices built of them. `in_force` is what the calls were
    recorded under, as far as is known; `completed_at` the rewards by workflow that count as completed; `key_limits`
    what keys may spend by now, by their ids, taken to have held all the time."""

    settings: Settings
    in_force: Settings
    policies: Mapping[str, Policy]
    prices: PriceTable
    completed_at: Mapping[str, float]
    selection: Selection
    key_limits: Mapping[str, KeyLimit]


class Replay:
    """One pass over a store. Afterwards `tally`, `runs` and `evidence` hold what came of it."""

    def __init__(self, trial: Trial, database: Database, progress: Progress) -> None:
        self.trial, self._database, self._progress = trial, database, progress
        self._market = Market(trial.settings, trial.prices, trial.policies)
        self._walk = Walk(self._market)
        self._wallet = Wallet(trial.settings, trial.in_force, trial.key_limits)
        self.tally, self.evidence = Tally(), Evidence()
        self.runs = RunBook(trial.completed_at, trial.selection.since)
        self.pace_before, self.pace_known = Pace(), Pace()
        self.calls = 0
        self.first_at = self.last_at = 0.0
        self._others = _Others(trial.selection, database)

    def play(self) -> None:
        """Raises StoreUnavailable."""
        selection = self.trial.selection
        total = self._database.read(lambda connection: histories.count(connection, selection.since))
        assumed = self.trial.in_force.ledger.default_max_output_tokens
        self._begin()
        for recorded in recorded_calls(self._database, selection, assumed):
            self._call(recorded)
            self.calls += 1
            if self.calls % _FOLD_EVERY == 0:
                self._fold(recorded.call.at)
                self._progress(self.calls, max(total, self.calls))
        self._charge_others(float("inf"))
        self._fold(float("inf"))
        self._progress(self.calls, self.calls)

    def _begin(self) -> None:
        """Budgets begin with what was spent before, in windows that are open then."""
        since = self.trial.selection.since
        if since is None or not self._wallet.limits_money:
            return
        kinds: set[WindowName] = {budget.window for budget in self.trial.settings.budget}
        kinds |= {limit.window for limit in self.trial.key_limits.values()}
        for kind in sorted(kinds):
            window = window_at(kind, since)
            if kind == "run":
                read = partial(histories.spent_by_open_runs, moment=since)
            else:
                read = partial(histories.spent, begin=window.starts_at, end=since)
            self._wallet.begin_with(self._database.read(read), window, since)

    def _call(self, recorded: Recorded) -> None:
        call, row = recorded.call, recorded.row
        at = self.last_at = call.at
        if not self.calls:
            self.first_at = at
        if at >= self._others.next_at:
            self._charge_others(at)
        wallet = self._wallet
        wallet.settle_until(at)
        pocket = wallet.pocket(call.who, at)
        fate = self._fate(recorded, pocket)
        if pocket.purses:
            self._book(pocket, fate, row.nanodollars)
        run = self.runs.of(recorded)
        self.tally.see(recorded, fate, place_of(recorded), judged=run.known, after_refusal=run.lost)
        run.see(recorded, fate)
        self._learn(recorded, fate)

    def _book(self, pocket: Pocket, fate: Fate, in_fact: int) -> None:
        """What was spent without a hold of this replay's, and how the sum differs from what was spent in fact."""
        if not fate.held and fate.nanodollars:
            self._wallet.charge(pocket.purses, fate.nanodollars)
        more = fate.likely - in_fact
        if more:
            self._wallet.note(pocket, more)

    def _fate(self, recorded: Recorded, pocket: Pocket) -> Fate:
        row, wallet = recorded.row, self._wallet
        if row.answered_by == "none" and row.code not in _ASKED_AGAIN and not recorded.decision:
            return as_recorded(recorded)
        limited = row.code == RateLimited.code
        if not wallet.admits(recorded.call, limited, recorded.tokens):
            return as_recorded(recorded) if limited else refused(recorded, RateLimited.code)
        if row.answered_by == "person" or self._still_controlled(recorded):
            return as_recorded(recorded)
        routing = self._market.route(recorded, wallet.remaining(pocket))
        if row.answered_by == "recall" and routing.recalls:
            return as_recorded(recorded)
        broke = row.code == BudgetExceeded.code
        if broke and pocket.purses and wallet.stands(pocket):
            return as_recorded(recorded)
        walk = self._walk.let_in if broke or limited else self._walk.fate
        fate = walk(recorded, routing)
        return self._pay(recorded, fate, pocket) if pocket.purses else fate

    def _still_controlled(self, recorded: Recorded) -> bool:
        """Whether a controller answered, and may still."""
        if recorded.row.answered_by != "controller":
            return False
        workflow = self.trial.settings.workflow.get(recorded.call.who.workflow, _PLAIN)
        return all(allows(workflow, said.kind) for said in recorded.controllers if said.followed)

    def _pay(self, recorded: Recorded, fate: Fate, pocket: Pocket) -> Fate:
        """Hold and settle each attempt; a refused hold ends the plan."""
        wallet, call, purses = self._wallet, recorded.call, pocket.purses
        free = fate.outcome == "kept" and wallet.stands(pocket)
        until = call.at + recorded.row.seconds
        spent = 0
        for worst, cost in fate.held:
            if not free and not wallet.take(purses, worst, call.at):
                gone = refused(recorded, BudgetExceeded.code)
                gone.nanodollars, gone.held = spent, fate.held
                return gone
            wallet.hold(purses, worst, cost, until)
            spent += cost
        return fate

    def _learn(self, recorded: Recorded, fate: Fate) -> None:
        row, decision = recorded.row, recorded.decision
        if row.status == "ok":
            self.pace_before.add(row.seconds)
            if fate.guessed is None and fate.status == "ok":
                self.pace_known.add(fate.seconds)
        if recorded.attempts:
            planned = () if decision is None else decision.plan.attempts
            for made in recorded.attempts:
                if made.outcome in ("answered", "rejected"):
                    self.evidence.see(recorded.call, made, planned)
        elif row.answered_by == "model":
            self.evidence.see_imported(recorded.call, row.model, recorded.usage)

    def _charge_others(self, until: float) -> None:
        """Tools and what else the runs paid for: the same under any settings."""
        since = self.trial.selection.since
        for row in self._others.upto(until):
            who = Attribution(row.tenant, row.run, row.user, row.key, row.workflow, row.step)
            self._wallet.charge(self._wallet.pocket(who, row.at).purses, row.nanodollars)
            line = self.tally.line((row.tenant, row.workflow, row.step))
            line.other += row.nanodollars
            begun = since is None or (row.run_started_at is not None and row.run_started_at >= since)
            if row.reward is not None and begun:
                line.other_judged += row.nanodollars

    def _fold(self, before: float) -> None:
        for run in self.runs.fold(before):
            self._wallet.close(run.who, run.last_at)
        if before < float("inf"):
            self._wallet.forget(before)


class _Others:
    """Ledger lines of no model call, read ahead an hour at a time. `next_at` is when the next one may be due."""

    def __init__(self, selection: Selection, database: Database) -> None:
        self._selection, self._database = selection, database
        self._read_until = selection.since or 0.0
        self._waiting: deque[OtherRow] = deque()
        self.next_at = self._read_until

    def upto(self, moment: float) -> Iterator[OtherRow]:
        """Those that are due, in order. Raises StoreUnavailable."""
        while True:
            while self._waiting and self._waiting[0].at <= moment:
                yield self._waiting.popleft()
            if self._waiting or self._read_until > moment or self._is_over:
                break
            self._read(max(moment, self._read_until) + _OTHERS_SECONDS)
        self.next_at = self._waiting[0].at if self._waiting else self._read_until

    @property
    def _is_over(self) -> bool:
        return self._read_until >= (self._selection.until or float("inf"))

    def _read(self, until: float) -> None:
        end = min(until, self._selection.until or float("inf"))
        read = partial(histories.others, begin=self._read_until, end=end, selection=self._selection)
        self._waiting.extend(self._database.read(read))
        self._read_until = end
