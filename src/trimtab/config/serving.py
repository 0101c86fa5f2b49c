"""The tables that say what can be served and where: `[[model]]`, `[[endpoint]]` and their prices.

`pool/` and `routing/` read them; prices in USD become nanodollars in `prices.py` and nowhere else.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from trimtab.config.engines import EngineName, PassedOn, Profile
from trimtab.config.scheduling import SpeedSettings
from trimtab.config.table import Factor, Name, Natural, Positive, Seconds, Share, Table, Usd
from trimtab.core import Capability

CachedUsd = Annotated[Usd | None, Meta(description="Prompt tokens read from a cache; default `input`.")]
CacheWriteUsd = Annotated[Usd | None, Meta(description="Prompt tokens written to a cache; default `input`.")]
CacheWriteHourUsd = Annotated[
    Usd | None, Meta(description="Written to a cache for an hour; default `cache_write`.")
]
ReasoningUsd = Annotated[Usd | None, Meta(description="Reasoning tokens; default `output`.")]


class TierSettings(Table, frozen=True):
    """`tiers`: token prices of long prompts, for the whole call once its prompt is over the mark."""

    above_input_tokens: Annotated[
        Positive, Meta(description="These prices hold for prompts of more tokens than this.")
    ]
    input: Annotated[Usd, Meta(description="USD per million prompt tokens.")]
    output: Annotated[Usd, Meta(description="USD per million reply tokens.")]
    cached: CachedUsd = None
    cache_write: CacheWriteUsd = None
    cache_write_hour: CacheWriteHourUsd = None
    reasoning: ReasoningUsd = None


class PriceSettings(Table, frozen=True):
    """`price`: USD per million tokens. Left out where `genai-prices` knows the model."""

    input: Annotated[Usd, Meta(description="USD per million prompt tokens.")] = 0.0
    output: Annotated[Usd, Meta(description="USD per million reply tokens.")] = 0.0
    cached: CachedUsd = None
    cache_write: CacheWriteUsd = None
    cache_write_hour: CacheWriteHourUsd = None
    reasoning: ReasoningUsd = None
    request: Annotated[Usd, Meta(description="USD per request.")] = 0.0
    web_search: Annotated[Usd, Meta(description="USD per web search the endpoint makes.")] = 0.0
    tiers: Annotated[tuple[TierSettings, ...], Meta(description="Other prices for long prompts.")] = ()


class ModelSettings(Table, frozen=True):
    """`[[model]]`: what is known of a model, or a virtual model that stands for several `candidates`."""

    name: Annotated[Name, Meta(description="Name that clients send.")]
    candidates: Annotated[
        tuple[Name, ...], Meta(description="Models this name stands for; a policy picks.")
    ] = ()
    policy: Annotated[
        str, Meta(description="Policy for calls that name this model, unless a rule says else.")
    ] = ""
    price: Annotated[
        PriceSettings | None, Meta(description="Price at endpoints that name none of their own.")
    ] = None
    price_as: Annotated[str, Meta(description="Take the price of this `provider/model` of genai-prices.")] = (
        ""
    )
    quality: Annotated[Share, Meta(description="Rank among models: larger is better.")] = 0.5
    context_tokens: Annotated[
        Natural, Meta(description="Prompt and reply tokens it can hold; 0 is unknown.")
    ] = 0
    max_output_tokens: Annotated[
        Natural, Meta(description="Most reply tokens; 0 is `ledger.default_max_output_tokens`.")
    ] = 0
    capabilities: Annotated[
        tuple[Capability, ...], Meta(description="What it can do; empty: assumed to do everything.")
    ] = ()


class TimeoutSettings(Table, frozen=True):
    """`timeouts`: deadlines of one attempt, in seconds."""

    connect: Annotated[Seconds, Meta(description="Until the connection stands.")] = 5.0
    first_token: Annotated[Seconds, Meta(description="Until the first byte of the reply's body.")] = 60.0
    idle: Annotated[Seconds, Meta(description="Between two pieces of a stream.")] = 60.0
    total: Annotated[Seconds, Meta(description="Until the reply is complete.")] = 600.0


class BreakerSettings(Table, frozen=True):
    """`breaker`: when an endpoint is left alone for a while."""

    failures: Annotated[Positive, Meta(description="Failures in a row that open it.")] = 5
    cooldown_seconds: Annotated[Seconds, Meta(description="First pause; it doubles while tries fail.")] = 5.0
    max_cooldown_seconds: Annotated[Seconds, Meta(description="Longest pause.")] = 120.0


class EndpointSettings(Table, frozen=True):
    """`[[endpoint]]`: one place that can serve models."""

    name: Annotated[Name, Meta(description="Shown in traces, metrics and the ledger.")]
    url: Annotated[str, Meta(min_length=1, description="Base URL, e.g. https://api.openai.com/v1.")]
    models: Annotated[tuple[Name, ...], Meta(min_length=1, description="Models served here.")]
    style: Annotated[
        Literal["openai", "anthropic", "trimtab"],
        Meta(description="Wire format. `trimtab`: another Trimtab; run ids pass through and it charges."),
    ] = "openai"
    upstream_names: Annotated[
        dict[str, Name], Meta(description="Our model name -> the endpoint's name for it.")
    ] = msgspec.field(default_factory=dict)
    api_key_env: Annotated[str, Meta(description="Environment variable that holds the endpoint's key.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Sent with every request; no secrets here.")] = (
        msgspec.field(default_factory=dict)
    )
    price: Annotated[
        PriceSettings | None, Meta(description="Price of every model here; wins over the model's.")
    ] = None
    gpu_hour_usd: Annotated[
        Usd, Meta(description="Self-hosted: cost of the machine an hour, shared out by token-time.")
    ] = 0.0
    service_factors: Annotated[
        dict[str, Factor],
        Meta(
            description="By what a service tier or speed multiplies token prices, e.g. `{ priority = 2.0 }`. "
            "Calls served under others are entered at the standard price, marked estimated."
        ),
    ] = msgspec.field(default_factory=dict)
    precision_bits: Annotated[int, Meta(gt=0, le=64, description="Bits a weight: 16, 8, 4.")] = 16
    quality: Annotated[Share | None, Meta(description="Wins over the model's quality.")] = None
    context_tokens: Annotated[Natural, Meta(description="Wins over the model's; 0 keeps it.")] = 0
    capabilities: Annotated[
        tuple[Capability, ...], Meta(description="Wins over the model's; empty keeps them.")
    ] = ()
    concurrency: Annotated[
        Positive,
        Meta(
            description="Calls in flight at once, over all our processes: divided evenly among them, at least "
            "one each."
        ),
    ] = 64
    max_queued: Annotated[
        Natural, Meta(description="Calls that may wait for a place here, in each process.")
    ] = 256
    retries: Annotated[
        int, Meta(ge=0, le=100, description="Further tries here before the plan moves on.")
    ] = 2
    max_tokens_field: Annotated[
        Literal["max_completion_tokens", "max_tokens"],
        Meta(description="Field in which a maximum is sent when the client named none."),
    ] = "max_completion_tokens"
    engine: Annotated[
        EngineName, Meta(description="What serves there: its load is asked for, its ways are known.")
    ] = ""
    scrape_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How often the engine is asked for its load; 0 is never.")
    ] = 1.0
    metrics_url: Annotated[
        str, Meta(description="The engine's Prometheus page; default `/metrics` beside `url`'s `/v1`.")
    ] = ""
    pass_on: Annotated[
        tuple[PassedOn, ...],
        Meta(
            description="What the engine is told of a call: `priority` (vLLM and SGLang), `request_id` "
            "(`x-request-id`, SGLang's `rid`), `agent_hints` (Dynamo's `nvext`)."
        ),
    ] = ("request_id",)
    adapters: Annotated[
        dict[str, str],
        Meta(
            description="LoRA adapters it may load (vLLM, SGLang): a name of `models` -> where the engine finds it."
        ),
    ] = msgspec.field(default_factory=dict)
    adapter_slots: Annotated[Positive, Meta(description="How many `adapters` are loaded at once.")] = 1
    model_slots: Annotated[
        Natural, Meta(description="How many `models` are loaded at once (Ollama); 0 leaves it to the engine.")
    ] = 0
    shares: Annotated[
        str,
        Meta(
            description="Endpoints that share one GPU give it one name here: one of them is awake, the others "
            "sleep (vLLM with `--enable-sleep-mode`)."
        ),
    ] = ""
    load_seconds: Annotated[
        Seconds, Meta(description="What loading an adapter or waking a model takes, until it was measured.")
    ] = 2.0
    profile: Annotated[
        Profile,
        Meta(description="What it is set up for; a step's `role` goes to endpoints of its profile first."),
    ] = "any"
    kv_tokens: Annotated[
        Natural, Meta(description="Tokens its KV cache holds, over all calls; 0 is unknown.")
    ] = 0
    external: Annotated[
        bool, Meta(description="Somebody else's API, which the scheduler reaches by spill only.")
    ] = False
    speed: Annotated[
        SpeedSettings, Meta(description="How fast it is said to be, before its pace is learned.")
    ] = SpeedSettings()
    timeouts: Annotated[TimeoutSettings, Meta(description="Deadlines of one attempt.")] = TimeoutSettings()
    breaker: Annotated[BreakerSettings, Meta(description="When it is left alone.")] = BreakerSettings()
