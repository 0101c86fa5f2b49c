"""The tables of trimtab.toml by which calls are scheduled: the policy of the whole, what a step may ask for."""

from typing import Annotated, Literal

from msgspec import Meta

from trimtab.config.table import Positive, Seconds, Share, Table


class AutoscaleSettings(Table, frozen=True):
    """`[scheduling.autoscale]`: by what `trimtab_desired_replicas` is worked out, for each kind of endpoint."""

    least: Annotated[Positive, Meta(description="Replicas at least.")] = 1
    most: Annotated[Positive, Meta(description="Replicas at most.")] = 64
    wait_seconds: Annotated[Seconds, Meta(description="A predicted wait that is still good.")] = 2.0
    late_share: Annotated[Share, Meta(description="Share of open runs that may be past their deadline.")] = (
        0.1
    )
    calls_each: Annotated[float, Meta(gt=0, description="Calls at once that one replica serves well.")] = 12.0
    cool_down_seconds: Annotated[Seconds, Meta(description="Before one fewer is asked for.")] = 180.0
    cold_start_seconds: Annotated[Seconds, Meta(description="What a new replica takes to begin.")] = 120.0


class SchedulingSettings(Table, frozen=True):
    """`[scheduling]`: which endpoint serves a call among those of its model, and whose turn it is."""

    policy: Annotated[
        str,
        Meta(
            description="`default`, `graph`, `round_robin`, `least_loaded`, `prefix_load`, or CHOOSER+ORDER such as "
            "`eta+srpt`. Empty: calls wait at the endpoint that the routing policy named, fair between tenants."
        ),
    ] = ""
    max_waiting: Annotated[Positive, Meta(description="Calls that may wait in all, in each process.")] = (
        10_000
    )
    autoscale: Annotated[AutoscaleSettings, Meta(description="How many replicas to wish for.")] = (
        AutoscaleSettings()
    )
    wait_seconds: Annotated[
        Seconds, Meta(description="A wait of so long before a first token tells that an engine queues.")
    ] = 0.5


class StepSettings(Table, frozen=True):
    """`[workflow.NAME.step.STEP]`: what the calls of a step ask of endpoints."""

    role: Annotated[
        Literal["interactive", "batch", "any"],
        Meta(description="Endpoints of this profile are taken where there are any."),
    ] = "any"
    quality_floor: Annotated[Share, Meta(description="Never served by an endpoint of lower quality.")] = 0.0
    precision_floor: Annotated[
        int, Meta(ge=0, le=64, description="Never served in fewer bits a weight; 0: a quantised one will do.")
    ] = 0


class SpeedSettings(Table, frozen=True):
    """`[endpoint.speed]`: what is known of it before the first call; the pace is learned from there."""

    prompt_tokens_per_second: Annotated[float, Meta(gt=0, description="Prefill of one prompt, alone.")] = (
        10_000.0
    )
    token_seconds: Annotated[float, Meta(gt=0, description="One output token of a call that is alone.")] = (
        0.02
    )
    call_seconds: Annotated[
        float, Meta(ge=0, description="What each further running call adds to a token.")
    ] = 0.0001
    context_seconds: Annotated[
        float, Meta(ge=0, description="What each token in the running calls' contexts adds to a token.")
    ] = 0.0
    attention_seconds: Annotated[
        float, Meta(ge=0, description="What each token before it adds to a prompt token.")
    ] = 0.0
    chunk_tokens: Annotated[Positive, Meta(description="Prompt tokens the engine takes in one step.")] = 2048
