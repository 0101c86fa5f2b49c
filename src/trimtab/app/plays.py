"""The plays: the demo's simulated support desk, and recorded runs out of a cassette."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from trimtab.app.stage import Play, Progress
from trimtab.config import published_name
from trimtab.simulation import (
    TENANTS,
    Cassette,
    Mode,
    PlannedRun,
    cassette_app,
    demo_runs,
    expert_app,
    load_cassette,
    replay_runs,
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
limit_usd = 5.0
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
name = "warranty questions go to the large model"
when = "workflow == 'parts-support' && step == 'escalation'"
models = ["sim-large"]
policy = "pinned"
"""
GLOBEX_USD = "0.05"


def demo_play(runs: int, seed: int, on_progress: Progress) -> Play:
    """`runs` simulated support runs of two tenants, all at once."""

    def planned(keys: Mapping[str, str]) -> Iterable[PlannedRun]:
        return demo_runs(runs, seed, "support", keys)

    return Play(
        _DEMO.replace("@GLOBEX@", GLOBEX_USD),
        expert_app(seed),
        TENANTS,
        planned,
        runs,
        concurrency=runs,
        mode="mixed",
        on_progress=on_progress,
    )


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
