"""The shape of trimtab.toml: frozen, typed, with every default in one place.

This module holds the whole and the tables of the process; models and endpoints stand in `serving.py`,
tenants, budgets, rules and policies in `terms.py`. The docstrings of the classes and
`Meta(description=...)` are what the generated configuration reference shows. Secrets never stand in the file:
keys ending in `_env` name environment variables. Money is in USD here (people write it) and in nanodollars
everywhere else.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trimtab.config.scheduling import AutoscaleSettings, SchedulingSettings, SpeedSettings, StepSettings
from trimtab.config.serving import (
    BreakerSettings,
    EndpointSettings,
    ModelSettings,
    PriceSettings,
    TierSettings,
    TimeoutSettings,
)
from trimtab.config.table import ContentMode, Natural, Positive, Seconds, Table
from trimtab.config.terms import (
    BudgetSettings,
    ClassifySettings,
    PolicySettings,
    RateSettings,
    RuleSettings,
    TenantSettings,
    ToolSettings,
    VerifierSettings,
    WorkflowSettings,
    WorkflowToolSettings,
)

__all__ = [
    "AutoscaleSettings",
    "BreakerSettings",
    "BudgetSettings",
    "ClassifySettings",
    "ContentMode",
    "ControllerSettings",
    "EndpointSettings",
    "HedgingSettings",
    "HostingSettings",
    "LedgerSettings",
    "ModelSettings",
    "PolicySettings",
    "PriceSettings",
    "RateSettings",
    "RuleSettings",
    "SchedulingSettings",
    "ServerSettings",
    "Settings",
    "SpeedSettings",
    "StepSettings",
    "TelemetrySettings",
    "TenantSettings",
    "TierSettings",
    "TimeoutSettings",
    "ToolSettings",
    "TraceSettings",
    "VerifierSettings",
    "WorkflowSettings",
    "WorkflowToolSettings",
]


class ServerSettings(Table, frozen=True):
    """`[server]`: where the gateway listens and keeps its data."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 8080
    data: Annotated[str, Meta(min_length=1, description="Folder of the journal and the SQLite file.")] = (
        "trimtab-data"
    )
    database: Annotated[
        str, Meta(description="`sqlite` (a file in `data`) or a `postgresql://` URL; `database_env` wins.")
    ] = "sqlite"
    database_env: Annotated[str, Meta(description="Environment variable with the database URL.")] = ""
    max_body_bytes: Annotated[Positive, Meta(description="Largest request body; larger ones get 413.")] = (
        16 * 1024 * 1024
    )
    drain_seconds: Annotated[Seconds, Meta(description="Time open calls get to finish on SIGTERM.")] = 30.0


class LedgerSettings(Table, frozen=True):
    """`[ledger]`: how money is set aside and made durable."""

    durability: Annotated[
        Literal["process", "disk"],
        Meta(
            description="`process`: entries survive kill -9 (written to the operating system before the last "
            "byte). `disk`: they also survive power loss (fsync by group commit)."
        ),
    ] = "process"
    default_max_output_tokens: Annotated[
        Positive,
        Meta(
            description="Output held for (and, under a budget, asked of the endpoint) when the client "
            "names no maximum and the model has none.",
        ),
    ] = 8192
    lease_seconds: Annotated[
        Seconds,
        Meta(
            description="A process silent for this long is dead: its open holds are settled as worst case. As "
            "long may a process that has lost its database serve from the money it holds."
        ),
    ] = 60.0
    wait_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="How long a call may wait for open holds to settle before it is refused.",
        ),
    ] = 5.0
    apply_seconds: Annotated[Seconds, Meta(description="How often journal records go to the database.")] = 0.1


class TraceSettings(Table, frozen=True):
    """`[traces]`: what is kept of every call."""

    content: Annotated[
        ContentMode, Meta(description="Keep prompts and replies, redact them, or drop them.")
    ] = "store"
    retention_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36_500,
            description="Traces older than this are deleted; 0 keeps all. Ledger entries are never deleted.",
        ),
    ] = 0
    idle_minutes: Annotated[
        float, Meta(gt=0, le=525_600, description="A run without calls for so long is closed.")
    ] = 30.0


class TelemetrySettings(Table, frozen=True):
    """`[telemetry]`: OpenTelemetry spans over OTLP/HTTP."""

    otlp_endpoint: Annotated[
        str, Meta(description="Collector URL, e.g. http://127.0.0.1:4318; empty is off.")
    ] = ""
    service_name: Annotated[str, Meta(description="Name of this service on spans.")] = "trimtab"
    content: Annotated[bool, Meta(description="Put prompts and replies on spans.")] = False


class ControllerSettings(Table, frozen=True):
    """`[controllers]`: where learned controllers are kept."""

    folder: Annotated[
        str, Meta(description="Folder of the registry; default `controllers` in the data folder.")
    ] = ""


class ConsoleSettings(Table, frozen=True):
    """`[console]`: the pages at /console."""

    reports: Annotated[
        str,
        Meta(
            description="Folder whose evaluation reports the page Frontier shows, each in a folder of its own "
            "(`trimtab evaluate --out`); default `reports` in the data folder."
        ),
    ] = ""


class HostingSettings(Table, frozen=True):
    """`[hosting]`: how this process drives the runs of hosted workflows (`graph` of `[workflow.NAME]`)."""

    lease_seconds: Annotated[
        Seconds,
        Meta(description="A worker silent for this long is dead: others go on with its runs."),
    ] = 10.0
    most_recoveries: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000,
            description="Workers a run may outlive; then it is parked until somebody retries it.",
        ),
    ] = 3
    runs: Annotated[
        Positive, Meta(description="Runs this process takes over or out of the queue at once.")
    ] = 64
    partitions: Annotated[
        tuple[str, ...],
        Meta(
            description="Partitions whose runs this process drives (`[[tenant]] partition`); '' is what is not pinned, "
            "which is also what is driven where none is named."
        ),
    ] = ()
    threads: Annotated[
        Positive, Meta(description="Threads for nodes that are plain functions, shared by all runs.")
    ] = 32
    drive: Annotated[
        bool, Meta(description="`trimtab serve` drives runs; false leaves them to `trimtab worker`.")
    ] = True
    keep_checkpoints: Annotated[
        Natural, Meta(description="The newest steps of a thread one can go back to; 0 keeps all.")
    ] = 50
    retention_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36_500,
            description="Runs that are over, and threads nobody used, are deleted after so long; 0 keeps all.",
        ),
    ] = 30
    store_encoder: Annotated[
        str,
        Meta(
            description="How the store finds items by meaning (`query`): `minilm`, or the folder of a Hugging Face "
            "encoder of type bert; empty is not at all."
        ),
    ] = ""


class HedgingSettings(Table, frozen=True):
    """`[hedging]`: bounds on hedged attempts."""

    share: Annotated[float, Meta(ge=0, le=0.5, description="Extra calls, as a share of calls.")] = 0.05


class Settings(Table, frozen=True):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    ledger: LedgerSettings = LedgerSettings()
    traces: TraceSettings = TraceSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    hedging: HedgingSettings = HedgingSettings()
    controllers: ControllerSettings = ControllerSettings()
    console: ConsoleSettings = ConsoleSettings()
    hosting: HostingSettings = HostingSettings()
    scheduling: SchedulingSettings = SchedulingSettings()
    default_policy: Annotated[str, Meta(description="Policy where no rule and no model names one.")] = (
        "pinned"
    )
    model: tuple[ModelSettings, ...] = ()
    endpoint: tuple[EndpointSettings, ...] = ()
    tenant: tuple[TenantSettings, ...] = ()
    budget: tuple[BudgetSettings, ...] = ()
    rate: tuple[RateSettings, ...] = ()
    rule: tuple[RuleSettings, ...] = ()
    policy: dict[str, PolicySettings] = msgspec.field(default_factory=dict)
    tool: tuple[ToolSettings, ...] = ()
    workflow: dict[str, WorkflowSettings] = msgspec.field(default_factory=dict)
