"""Stores of recorded calls, routed by the policies of real settings; the answers are made up."""

from trimtab.app.policies import policies_of
from trimtab.config import load_text, prices_of
from trimtab.core import (
    AttemptRecord,
    Attribution,
    Call,
    CallRecord,
    Decision,
    Entry,
    OutcomeRecord,
    SystemClock,
    Usage,
)
from trimtab.pool import Pool
from trimtab.routing import sticky_unit
from trimtab.simulation.whatif import Replay, Trial, report_of
from trimtab.store import Database, Selection, calls, entries, migrate, runs, sums, url_of
from trimtab.traces import completed_at

USUAL = Usage(1000, 100)
NOON = 1_760_011_200.0  # 9 October 2025, 12:00 UTC
SETTINGS = """
default_policy = "{policy}"
[[endpoint]]
name = "near"
url = "http://10.0.0.1/v1"
models = ["small"]
[[endpoint]]
name = "far"
url = "http://10.0.0.2/v1"
models = ["large"]
[[model]]
name = "small"
quality = 0.4
context_tokens = {context}
price = {{ input = 0.1, cached = 0.05, output = 0.4 }}
[[model]]
name = "large"
quality = 0.9
price = {{ input = {large}, output = 10.0 }}
[[model]]
name = "any"
candidates = ["small", "large"]
[policy.large]
kind = "cheapest"
models = ["large"]
[policy.small]
kind = "cheapest"
models = ["small"]
[policy.climb]
kind = "cascade"
verifiers = [{{ kind = "finish_reason" }}]
{more}
"""


def toml(policy="large", large=2.5, context=100000, more=""):
    return SETTINGS.format(policy=policy, large=large, context=context, more=more)


def settings_of(text):
    return load_text(text, "trimtab.toml", {}).settings


class Recorder:
    """Keeps calls in a store as the recorded settings would have routed them."""

    def __init__(self, folder, text):
        self.settings = settings_of(text)
        self.prices = prices_of(self.settings)
        self.pool = Pool(self.settings, {}, self.prices, SystemClock())
        self.policies = policies_of(self.settings)
        folder.mkdir(exist_ok=True)
        self.database = Database(url_of("sqlite", folder))
        migrate(self.database)
        self.made = 0

    def call(
        self,
        at=0.0,
        run="r1",
        step="plan",
        tenant="acme",
        task="",
        usage=USUAL,
        outcomes=(),
        key="",
        **more,
    ):
        """One call: `outcomes` are those of its attempts in the plan's order; a refused one has none."""
        self.made += 1
        id = f"c{self.made:06d}"
        who = Attribution(tenant, run, key=key, workflow="desk", step=step, task=task)
        call = Call(id, NOON + at, "chat", "any", who, 4000, 500)
        name = self.settings.default_policy
        known = self.settings.policy.get(name)
        offers = self.pool.offers(call, (known and known.models) or ("small", "large"))
        plan = self.policies[name].choose(call, offers, sticky_unit(run, name))
        refused = more.pop("refused", False)
        made = () if refused else tuple(
            self._attempt(f"{id}-{n}", planned, outcome, usage, call.at)
            for n, (planned, outcome) in enumerate(zip(plan.attempts, outcomes or ("answered",), strict=False))
        )  # fmt: skip
        last = made[-1] if made else None
        record = CallRecord(
            call, "refused" if refused else "ok", 1.0, code="budget_exceeded" if refused else "",
            model=last.model if last else "", endpoint=last.endpoint if last else "",
            usage=usage if last else Usage(), nanodollars=sum(one.nanodollars for one in made),
            answered_by="none" if refused else "model",
            decision=Decision(name, call, offers, sticky_unit(run, name), plan), attempts=made,
        )  # fmt: skip
        self.keep(record, *(self._entry(record, one) for one in made))
        return record

    def _attempt(self, id, planned, outcome, usage, at):
        price = self.prices[planned.endpoint, planned.model]
        return AttemptRecord(
            id,
            planned.endpoint,
            planned.model,
            at,
            1.0,
            0.2,
            outcome,
            nanodollars=price.cost(usage),
            usage=usage,
        )

    def _entry(self, record, made):
        who = record.call.who
        return Entry(
            made.id, record.call.id, made.at + 1, who.tenant, who.run, "", who.workflow, who.step, who.key, "model",
            made.endpoint, made.model, made.nanodollars, "exact", made.usage,
        )  # fmt: skip

    def tool(self, at, nanodollars, run="r1", tenant="acme"):
        self.made += 1
        id = f"t{self.made}"
        self.keep(
            Entry(
                id, "", NOON + at, tenant, run, "", "desk", "", "", "tool", "", "search", nanodollars, "exact"
            )
        )

    def outcome(self, reward, run="r1", tenant="acme"):
        self.keep(OutcomeRecord(tenant, run, NOON + 1000, reward))

    def keep(self, *records):
        def work(connection):
            made = [each for each in records if isinstance(each, CallRecord)]
            lines = [each for each in records if isinstance(each, Entry)]
            calls.insert_calls(connection, made)
            entries.insert_entries(connection, lines)
            sums.add(connection, made, lines)
            runs.record_outcomes(connection, [each for each in records if isinstance(each, OutcomeRecord)])

        self.database.transact(work)

    def under(self, text, key_limits=None, **selection):
        """The report under other settings."""
        return report_under(self.database, self.settings, settings_of(text), key_limits, **selection)


def report_under(database, in_force, tried, key_limits=None, **selection):
    trial = Trial(
        tried,
        in_force,
        policies_of(tried),
        prices_of(tried),
        completed_at(in_force),
        Selection(**selection),
        key_limits or {},
    )
    replay = Replay(trial, database, lambda *_: None)
    replay.play()
    return report_of(replay, "new.toml", "the store")
