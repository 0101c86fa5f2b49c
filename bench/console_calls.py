"""Synthetic calls of runs over thirty days, drawn with a seed (ids aside): skewed tenants, workflows of eight steps,
four models at three endpoints; some refused, failed, recalled or decided.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from bench.whatif import entry_of
from trimtab.core import (
    AttemptRecord,
    Attribution,
    Call,
    CallRecord,
    ControllerDecision,
    Decision,
    Entry,
    IdSource,
    Offer,
    OutcomeRecord,
    Plan,
    PlannedAttempt,
    Price,
    Rates,
    Usage,
)
from trimtab.routing import sticky_unit

SEED = 7
DAYS = 30
TENANTS, USERS = 20, 1_000
STEPS = ("plan", "search", "read", "draft", "act", "check", "repair", "answer")
WORKFLOWS = ("parts-support", "triage", "invoices", "research", "code-review", "reports")
# The first two are drawn by run (`weighted`): what their models reach can be compared.
POLICIES = ("spread", "spread", "cheapest", "careful", "pinned", "pinned")
WEIGHTS = {"small": 2.0, "middle": 3.0, "large": 5.0}
# (dollars per million prompt, cached and reply tokens; quality), and where it is served.
MODELS = {
    "small": (0.15, 0.075, 0.6, 0.4, ("near", "edge")),
    "middle": (0.4, 0.1, 1.6, 0.7, ("near", "edge")),
    "large": (2.5, 1.25, 10.0, 0.9, ("far", "edge")),
    "huge": (5.0, 0.5, 25.0, 0.95, ("far",)),
}
_SHARE_OF_DAY, _SHARE_OF_HOUR = 0.08, 0.05
_LONGEST = 30
_FIRST_TOKEN = 0.3


class Run(msgspec.Struct, frozen=True):
    """One to be: `luck` in 0..1 decides whether it is completed; `ends`: somebody says so."""

    who: Attribution
    at: float
    calls: int
    policy: str
    unit: float
    luck: float
    ends: bool


def drawn_runs(count: int, now: float) -> list[Run]:
    """Runs of `count` calls together, by when they begin: most over the days, many in the last day and hour."""
    draw = random.Random(SEED)
    lengths = list(_lengths(draw, count))
    number = len(lengths)
    hour, day = int(number * _SHARE_OF_HOUR), int(number * _SHARE_OF_DAY)
    starts = [draw.uniform(now - 3_600, now - 60) for _ in range(hour)]
    starts += [draw.uniform(now - 86_400, now - 3_600) for _ in range(day)]
    starts += [draw.uniform(now - DAYS * 86_400, now - 86_400) for _ in range(number - hour - day)]
    starts.sort()
    return [
        _run(draw, at, start, calls) for at, (start, calls) in enumerate(zip(starts, lengths, strict=True))
    ]


def _lengths(draw: random.Random, count: int) -> Iterator[int]:
    """About six and a half calls a run; one run in 5,000 has hundreds."""
    left = count
    while left:
        many = (
            draw.randrange(200, 600)
            if draw.random() < 0.0002
            else 1 + min(_LONGEST, int(draw.expovariate(0.17)))
        )
        yield min(many, left)
        left -= min(many, left)


def _run(draw: random.Random, number: int, at: float, calls: int) -> Run:
    tenant = int(TENANTS * draw.random() ** 2.5)
    user = tenant + TENANTS * int(USERS // TENANTS * draw.random() ** 1.5)
    workflow = min(int(draw.expovariate(0.5)), len(WORKFLOWS) - 1)
    task = f"task-{draw.randrange(60)}" if workflow == 0 else ""
    id, policy = f"run-{number:06d}", POLICIES[workflow]
    name = "acme" if tenant == 0 else f"tenant-{tenant:02d}"
    who = Attribution(
        name, id, f"user-{user:04d}", f"key-{user % 60:02d}", WORKFLOWS[workflow], task=task, source="headers"
    )
    return Run(who, at, calls, policy, sticky_unit(id, policy), draw.random(), draw.random() < 0.88)


def outcome_of(run: Run) -> OutcomeRecord:
    """What is said of a run: better models complete more."""
    told = 0.45 + 0.45 * MODELS[model_of(run)][3]
    return OutcomeRecord(run.who.tenant, run.who.run, run.at + 60, float(run.luck < told), "checker", "")


def model_of(run: Run) -> str:
    """The model that the policy takes: drawn by run where it is `weighted`."""
    if run.policy == "careful":
        return "small"
    if run.policy != "spread":
        return "middle" if run.policy == "cheapest" else "large" if run.unit < 0.8 else "huge"
    left = run.unit * sum(WEIGHTS.values())
    for model, weight in WEIGHTS.items():
        left -= weight
        if left < 0:
            return model
    return "large"


PRICES = {
    model: Price((Rates(int(prompt * 1e9), int(reply * 1e9), int(cached * 1e9)),))
    for model, (prompt, cached, reply, *_) in MODELS.items()
}


def calls_of(run: Run) -> Iterator[tuple[CallRecord, Entry | None]]:
    """A run's calls, one behind the other, with the ledger lines they left."""
    draw, at, sent, ids = random.Random(f"{SEED}{run.who.run}"), run.at, 900, IdSource()
    for number in range(run.calls):
        step = STEPS[number % len(STEPS)] if run.calls > 1 else STEPS[-1]
        told = int(draw.expovariate(1 / 180)) + 8
        record, entry = _call(draw, ids, run, step, at, sent, told)
        yield record, entry
        at += record.seconds + draw.uniform(0.01, 0.4)
        sent = min(sent + told + draw.randrange(50, 900), 60_000)


def _call(
    draw: random.Random, ids: IdSource, run: Run, step: str, at: float, sent: int, told: int
) -> tuple[CallRecord, Entry | None]:
    who = msgspec.structs.replace(run.who, step=step)
    # At most four bytes a token: what is held is by the upper bound.
    call = Call(ids.new(at), at, "chat", "any", who, 4 * sent, 1024, stream=told % 3 == 0)
    fate = draw.random()
    if fate < 0.02:
        code = draw.choice(("budget_exceeded", "rate_limited", "overloaded"))
        return CallRecord(call, "refused", 0.002, code=code, http_status=429, answered_by="none"), None
    if fate < 0.09:
        return _spared(draw, call, fate < 0.05)
    return _asked(draw, ids, run, call, Usage(sent, told, cached_tokens=sent * 3 // 5), fate)


def _spared(draw: random.Random, call: Call, recalled: bool) -> tuple[CallRecord, Entry]:
    """A call that needed no model: the cache or a controller answered it."""
    name, reason = ("small", "recalled") if recalled else (f"{call.who.workflow}/step", "decided")
    saved = 0 if recalled else call.input_tokens * 600
    who, took = call.who, draw.uniform(0.002, 0.02)
    entry = Entry(
        call.id, call.id, call.at + took, who.tenant, who.run, who.user, who.workflow, who.step, who.key, "model",
        "", name, 0, "exact", reason=reason, saved_nanodollars=saved,
    )  # fmt: skip
    said = ControllerDecision(
        name, "3", "step", "search", draw.uniform(0.9, 1), True, "0" * 16, "1" * 16, 0.004
    )
    by = "recall" if recalled else "controller"
    record = CallRecord(call, "ok", took, model=name, answered_by=by, controllers=() if recalled else (said,))
    return record, entry


def _asked(
    draw: random.Random, ids: IdSource, run: Run, call: Call, usage: Usage, fate: float
) -> tuple[CallRecord, Entry | None]:
    """A call that went to a model: a few fail, a few are let go, a few go to a second endpoint."""
    model = model_of(run)
    places = MODELS[model][-1]
    decision = _decision(run, call, model, usage)
    seconds = (0.25 + usage.output_tokens * draw.uniform(0.004, 0.012)) * (1 + 2 * (draw.random() < 0.03))
    again = fate > 0.97 and len(places) > 1
    place, second = places[int(run.unit * 97) % len(places)], call.at + (0.4 if again else 0.0)
    cost = PRICES[model].cost(usage)
    status = "failed" if fate < 0.11 else "cancelled" if fate < 0.12 else "ok"
    if status == "failed":
        cost, usage = 0, Usage()
    outcome = {"ok": "answered", "failed": "failed", "cancelled": "cancelled"}[status]
    attempt = AttemptRecord(
        ids.new(second), place, model, second, seconds, _FIRST_TOKEN if status == "ok" else None, outcome,
        200 if status == "ok" else 502 if status == "failed" else None,
        "the endpoint answered 502: upstream overloaded" if status == "failed" else "", cost, usage,
    )  # fmt: skip
    lost = AttemptRecord(
        ids.new(call.at), places[-1], model, call.at, 0.4, None, "rejected", 429, "rate limited"
    )
    record = CallRecord(
        call, status, second - call.at + seconds, _FIRST_TOKEN if status == "ok" else None,
        "upstream_error" if status == "failed" else "", 200 if status == "ok" else 502, model, place, usage, cost,
        decision=decision, attempts=(lost, attempt) if again else (attempt,), **_content(draw, call),
    )  # fmt: skip
    if status == "failed":
        return record, None
    certainty = "estimated" if fate > 0.992 else "exact"
    return record, msgspec.structs.replace(entry_of(attempt, record), certainty=certainty)


def _decision(run: Run, call: Call, model: str, usage: Usage) -> Decision:
    offers = tuple(
        [
            Offer(
                place, name, PRICES[name], PRICES[name].cost(usage),
                PRICES[name].worst_cost(call.input_tokens, call.max_output_tokens), quality, in_flight=3,
            )
            for name, (*_, quality, places) in MODELS.items()
            for place in places[:1]
        ]
    )  # fmt: skip
    lead = f"weight {WEIGHTS[model]:g}" if run.policy == "spread" else "first"
    plan = Plan(tuple([PlannedAttempt(place, model, reason=lead) for place in MODELS[model][-1]]))
    return Decision(run.policy, call, offers, run.unit, plan)


def _content(draw: random.Random, call: Call) -> dict[str, bytes]:
    """One call in a hundred has kept what was said."""
    if draw.random() > 0.01:
        return {}
    said = "Where is my order? It was promised for Monday. " * 60
    body = {"model": "any", "messages": [{"role": "user", "content": f"{call.who.user}: {said}"}]}
    told = {"choices": [{"message": {"role": "assistant", "content": "It left the warehouse today. " * 10}}]}
    return {"request": msgspec.json.encode(body), "reply": msgspec.json.encode(told)}
