"""The plays: the demo's simulated support desk, with and without controllers, and recorded runs out of a cassette."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trimtab.app.stage import Play, Progress
from trimtab.config import published_name
from trimtab.simulation import (
    READ_ONLY,
    TENANTS,
    UNHURRIED_MODELS,
    WORKFLOW,
    Cassette,
    Mode,
    PlannedRun,
    cassette_app,
    demo_runs,
    expert_app,
    load_cassette,
    replay_runs,
    seed_of_strangers,
)

_DEMO = """# The demo's settings. The endpoint is simulated: no model runs, no money is spent.
default_policy = "pinned"

[server]
data = "{data}"

[[endpoint]]
name = "simulated-expert"
url = "{endpoint_url}/v1"
models = ["sim-small", "sim-large"]
concurrency = 64

[[model]]
name = "sim-small"
quality = 0.4
price = { input = 0.15, cached = 0.075, output = 0.6 }

[[model]]
name = "sim-large"
quality = 0.9
price = { input = 2.5, cached = 1.25, output = 10.0 }

[[model]]
name = "support"
candidates = ["sim-small", "sim-large"]
policy = "careful"

[policy.careful]
kind = "cascade"
verifiers = [{ kind = "tool_calls" }, { kind = "finish_reason" }]

# Tenants share the endpoint by weight; globex has little money, so that the demo shows a budget at work.
[[tenant]]
name = "acme"
weight = 2.0

[[budget]]
scope = "tenant"
window = "day"
limit_usd = @ACME@
match = { tenant = "acme" }

[[budget]]
scope = "tenant"
window = "day"
limit_usd = @GLOBEX@
match = { tenant = "globex" }

[[budget]]
scope = "run"
window = "run"
limit_usd = 0.25

[[rule]]
name = "the support desk has the large model"
when = "workflow == '@WORKFLOW@'"
models = ["@EXPERT@"]
policy = "pinned"

# What a controller may answer in the model's place: lookups, several in one turn. Nothing that writes is named here.
# All runs begin at once, on whatever machine this is: a decision may wait its turn longer than elsewhere.
[workflow.@WORKFLOW@]
eager = true
latency_milliseconds = 1000

[workflow.@WORKFLOW@.tools]
read_only = [@READ_ONLY@]
"""
ACME_USD, GLOBEX_USD = "100.0", "0.8"
AMPLE_USD = "1000.0"
MOST_AT_ONCE = 50
_EXPERT = "sim-large"
Arm = Literal["before", "after"]


def demo_play(runs: int, seed: int, on_progress: Progress) -> Play:
    """`runs` simulated support runs of two tenants, all at once."""

    def planned(keys: Mapping[str, str]) -> Iterable[PlannedRun]:
        return demo_runs(runs, seed, "support", keys)

    return Play(
        _demo_settings(ACME_USD, GLOBEX_USD),
        expert_app(seed),
        TENANTS,
        planned,
        runs,
        concurrency=runs,
        mode="mixed",
        on_progress=on_progress,
    )


def arm_play(arm: Arm, runs: int, seed: int, pace: float, on_progress: Progress) -> Play:
    """`runs` visits of customers whom the demo of `seed` never saw; the same ones in both arms.

    No budget ends a run here, and the expert takes the time a model would, times `pace`.
    """
    others = seed_of_strangers(seed)

    def planned(keys: Mapping[str, str]) -> Iterable[PlannedRun]:
        return demo_runs(runs, others, "support", keys, arm)

    return Play(
        _demo_settings(AMPLE_USD, AMPLE_USD),
        expert_app(others, UNHURRIED_MODELS, pace),
        TENANTS,
        planned,
        runs,
        concurrency=min(runs, MOST_AT_ONCE),
        mode="mixed",
        on_progress=on_progress,
    )


def latency_text(pace: float) -> str:
    """How long the simulated expert of the arms takes, in words."""
    model = next(model for model in UNHURRIED_MODELS if model.name == _EXPERT)
    low, high = (1000 * pace * seconds for seconds in model.first_token_seconds)
    each = 1000 * pace * model.token_seconds
    return f"first token after {low:g} to {high:g} ms, {each:g} ms a token"


def _demo_settings(acme_usd: str, globex_usd: str) -> str:
    filled = {
        "@ACME@": acme_usd,
        "@GLOBEX@": globex_usd,
        "@WORKFLOW@": WORKFLOW,
        "@EXPERT@": _EXPERT,
        "@READ_ONLY@": ", ".join(_quoted(name) for name in READ_ONLY),
    }
    text = _DEMO
    for mark, value in filled.items():
        text = text.replace(mark, value)
    return text


def replay_play(
    path: Path, agents: tuple[str, ...], mode: Mode, pace: float, concurrency: int, on_progress: Progress
) -> Play:
    """The runs recorded in `path`, answered by a cassette. Raises DataError."""
    cassette = load_cassette(path, agents)

    def planned(keys: Mapping[str, str]) -> Iterable[PlannedRun]:
        return replay_runs(path, "replay", keys["replay"], agents)

    return Play(
        _replay_settings(cassette.models),
        cassette_app(cassette, pace),
        ("replay",),
        planned,
        cassette.runs,
        concurrency=concurrency,
        mode=mode,
        on_progress=on_progress,
        notices=_notices(path, cassette),
    )


def _notices(path: Path, cassette: Cassette) -> tuple[str, ...]:
    if not cassette.runs_left_out:
        return ()
    return (f"runs of {path.name} left out, for they have no call to play: {cassette.runs_left_out}",)


def _replay_settings(models: Iterable[str]) -> str:
    listed = sorted(models)
    names = ", ".join(_quoted(name) for name in listed)
    priced = "".join(_priced(name) for name in listed)
    return f"""# A replay's settings: every call is answered by the cassette, with what was recorded.
[server]
data = "{{data}}"

[[endpoint]]
name = "cassette"
url = "{{endpoint_url}}/v1"
models = [{names}]
concurrency = 256
max_queued = 4096
{priced}"""


def _priced(model: str) -> str:
    published = published_name(model)
    if published is None:
        return ""
    return f'\n[[model]]\nname = {_quoted(model)}\nprice_as = "{published}"\n'


def _quoted(name: str) -> str:
    """Text as TOML; braces are escaped too, for `perform` fills in what stands in braces."""
    text = msgspec.json.encode(name).decode().replace("\x7f", "\\u007f")
    return text.replace("{", "\\u007b").replace("}", "\\u007d")
