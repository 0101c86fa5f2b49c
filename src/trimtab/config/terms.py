"""The tables that say who may spend what, and how calls are routed: tenants, budgets, rates, rules, policies.

`tenants/`, `budgets/` and `routing/` read them; `check.py` makes sure that the names they use exist.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trimtab.config.scheduling import StepSettings
from trimtab.config.table import ContentMode, Name, Natural, Share, Table, Usd
from trimtab.core import ControllerKind, VerifierKind

MatchKey = Literal["tenant", "user", "key", "workflow"]


class TenantSettings(Table, frozen=True):
    """`[[tenant]]`: limits of one tenant; `*` sets the default for all others."""

    name: Annotated[Name, Meta(description="The tenant, or `*` for all that are not named.")]
    weight: Annotated[
        float, Meta(gt=0, le=1_000_000, description="Share when tenants compete for an endpoint or a worker.")
    ] = 1.0
    max_queued: Annotated[
        Natural, Meta(description="Calls of this tenant that may wait at once, at each endpoint and process.")
    ] = 256
    requests_per_minute: Annotated[Natural, Meta(description="0 is no limit.")] = 0
    tokens_per_minute: Annotated[Natural, Meta(description="0 is no limit.")] = 0
    max_runs: Annotated[
        Natural, Meta(description="Runs of hosted workflows that are driven at once, on all processes.")
    ] = 64
    max_queued_runs: Annotated[
        Natural, Meta(description="Runs of hosted workflows that may wait; more get 429.")
    ] = 1_000
    runs_per_minute: Annotated[Natural, Meta(description="New runs of hosted workflows; 0 is no limit.")] = 0
    max_threads: Annotated[
        Natural, Meta(description="Threads that clients may keep by name; one more gets 409.")
    ] = 100_000
    max_crons: Annotated[Natural, Meta(description="Crons that may stand; one more gets 409.")] = 1_000
    max_items: Annotated[
        Natural,
        Meta(
            description="Items that clients may keep in the store; one more gets 409. Graphs are not held to it."
        ),
    ] = 100_000
    partition: Annotated[
        str, Meta(description="Only processes with this in `[hosting] partitions` drive its runs.")
    ] = ""
    content: Annotated[ContentMode | None, Meta(description="Wins over `traces.content`.")] = None


class BudgetSettings(Table, frozen=True):
    """`[[budget]]`: a limit in USD for each value of a scope in each window.

    `match` narrows it: `match = { tenant = "acme" }`. Without `match` every tenant (user, key, ...) has its
    own.
    """

    scope: Annotated[Literal["tenant", "user", "key", "workflow", "run"], Meta(description="Whose money.")]
    limit_usd: Annotated[
        float, Meta(ge=0, le=9_000_000_000, description="USD in one window; 0 refuses every priced call.")
    ]
    window: Annotated[
        Literal["run", "day", "month"],
        Meta(description="`run`: as long as the run lives; days and months in UTC."),
    ] = "month"
    name: Annotated[str, Meta(description="Shown when it refuses; default `scope/window`.")] = ""
    match: Annotated[dict[MatchKey, Name], Meta(description="Only calls with these values.")] = msgspec.field(
        default_factory=dict
    )


class RateSettings(Table, frozen=True):
    """`[[rate]]`: requests and tokens a minute for each value of a scope."""

    scope: Annotated[Literal["tenant", "user", "key", "workflow"], Meta(description="Whose calls.")]
    requests_per_minute: Annotated[Natural, Meta(description="0 is no limit.")] = 0
    tokens_per_minute: Annotated[Natural, Meta(description="0 is no limit.")] = 0
    match: Annotated[dict[MatchKey, Name], Meta(description="Only calls with these values.")] = msgspec.field(
        default_factory=dict
    )


class VerifierSettings(Table, frozen=True):
    """`verifiers`: checks of a cascade, each such as `{ kind = "logprob", value = "-0.5" }`."""

    kind: Annotated[VerifierKind, Meta(description="What is checked.")]
    value: Annotated[
        str,
        Meta(
            description="`logprob`: lowest mean log-probability; `python`: `module:function`; `controller`: "
            "`WORKFLOW/verify`; else empty."
        ),
    ] = ""


class PolicySettings(Table, frozen=True):
    """`[policy.NAME]`: a shipped policy with options, or `kind = "module:function"`."""

    kind: Annotated[
        Name, Meta(description="`pinned`, `cheapest`, `fastest`, `weighted`, `cascade` or `module:function`.")
    ]
    models: Annotated[
        tuple[Name, ...], Meta(description="Order or choice of models; default: all offered.")
    ] = ()
    endpoint: Annotated[str, Meta(description="`pinned`: the endpoint to try first.")] = ""
    until: Annotated[
        Literal["last_token", "first_token"],
        Meta(description="`fastest`: what is to come soonest, the whole reply or its beginning."),
    ] = "last_token"
    weights: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1_000_000)]],
        Meta(description="`weighted`: share of runs by model."),
    ] = msgspec.field(default_factory=dict)
    verifiers: Annotated[
        tuple[VerifierSettings, ...], Meta(description="`cascade`: checks on all replies but the last.")
    ] = ()
    max_attempts: Annotated[int, Meta(gt=0, le=32, description="Attempts of one call, all told.")] = 4
    hedge: Annotated[
        bool, Meta(description="A second attempt after the endpoint's p95 when none has answered.")
    ] = False


class RuleSettings(Table, frozen=True):
    """`[[rule]]`: the first whose `when` holds picks the policy."""

    when: Annotated[str, Meta(min_length=1, description="A CEL expression over the call.")]
    policy: Annotated[str, Meta(description="Policy to use; empty keeps the model's own.")] = ""
    models: Annotated[
        tuple[Name, ...], Meta(description="Models to choose from instead of the named one.")
    ] = ()
    name: Annotated[str, Meta(description="Shown in decisions; no two rules share one.")] = ""
    recall_seconds: Annotated[
        Natural,
        Meta(
            description="Answer repeated calls from the cache for so long; 0 is never. Nothing is cached of "
            "tenants whose content is redacted or dropped."
        ),
    ] = 0
    recall_sampled: Annotated[bool, Meta(description="Cache sampled calls (temperature above 0) too.")] = (
        False
    )


class ToolSettings(Table, frozen=True):
    """`[[tool]]`: what one use of a tool costs."""

    name: Annotated[Name, Meta(description="The tool, as entries name it.")]
    price_usd: Annotated[Usd, Meta(description="USD per use.")]


class WorkflowToolSettings(Table, frozen=True):
    """`[workflow.NAME.tools]`: which tools a step controller may call."""

    read_only: Annotated[
        tuple[Name, ...], Meta(description="Tools without side effects; a controller may call them.")
    ] = ()
    write_allowed: Annotated[
        tuple[Name, ...],
        Meta(description="Tools with side effects that a controller may call all the same."),
    ] = ()
    trust_hints: Annotated[
        bool,
        Meta(
            description="Take a tool for read-only where its declaration in the call carries MCP's `readOnlyHint`. "
            "The client says so: only where every client of the workflow is trusted."
        ),
    ] = False


class ClassifySettings(Table, frozen=True):
    """`[workflow.NAME.classify]`: which calls the classify controller answers, and in what shape."""

    steps: Annotated[
        tuple[Name, ...],
        Meta(description="Steps whose calls only ask for a label; others are never answered by it."),
    ] = ()
    reply: Annotated[
        str, Meta(min_length=1, description="The reply's text; `{label}` in it is the label.")
    ] = "{label}"


class WorkflowSettings(Table, frozen=True):
    """`[workflow.NAME]`: what a completed run of it is, which graph is hosted for it, what its controllers may do.

    Controllers are put to work by `trimtab controllers enable`; what stands here bounds them.
    """

    completed_at: Annotated[Share, Meta(description="Reward from which a run counts as completed.")] = 1.0
    graph: Annotated[
        str,
        Meta(description="LangGraph graph to host, or a function that makes it: `package.module:graph`."),
    ] = ""
    version: Annotated[
        str,
        Meta(
            description="Name of the graph's version, where nodes changed and the shape of the graph did not."
        ),
    ] = ""
    unsure: Annotated[
        Literal["escalate", "ask"],
        Meta(
            description="Where a cascade would take the last model's reply unverified: `escalate` takes it, `ask` asks "
            "a person in the inbox (steps of hosted runs only)."
        ),
    ] = "escalate"
    controllers: Annotated[
        tuple[ControllerKind, ...] | None,
        Meta(description="Kinds of controllers that may work; default all that are enabled, [] is none."),
    ] = None
    eager: Annotated[
        bool, Meta(description="A step controller may make several read-only calls in one turn.")
    ] = True
    thresholds: Annotated[
        dict[ControllerKind, Share],
        Meta(description="Lowest confidence to act on; can only raise what a controller was calibrated to."),
    ] = msgspec.field(default_factory=dict)
    latency_milliseconds: Annotated[
        float, Meta(gt=0, le=60_000, description="A controller that takes longer is not waited for.")
    ] = 250.0
    most_in_a_row: Annotated[
        int,
        Meta(gt=0, le=1_000, description="Turns that controllers may answer before a model is asked again."),
    ] = 8
    routes: Annotated[
        dict[str, tuple[Name, ...]],
        Meta(description="Label of the route controller -> models to choose from."),
    ] = msgspec.field(default_factory=dict)
    escalate_to: Annotated[
        str, Meta(description="Model that calls go to which the gate controller escalates.")
    ] = ""
    tools: Annotated[WorkflowToolSettings, Meta(description="What may be called.")] = WorkflowToolSettings()
    needs_usd: Annotated[
        Usd,
        Meta(
            description="What must be left of every budget over a new hosted run, else it is refused (402); 0: it is "
            "let in, and its priced calls are refused one by one."
        ),
    ] = 0.0
    spill_usd: Annotated[
        Usd,
        Meta(description="What a run may spend on `external` endpoints when it would be late; 0: nothing."),
    ] = 0.0
    step: Annotated[
        dict[str, StepSettings], Meta(description="What the calls of a step ask of endpoints.")
    ] = msgspec.field(default_factory=dict)
    classify: Annotated[ClassifySettings, Meta(description="Which calls are answered by a label.")] = (
        ClassifySettings()
    )
