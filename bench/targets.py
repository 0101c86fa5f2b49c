"""The gateways under measurement: how each is configured, started and spoken to.

One function per target, one line in `TARGETS`. Peers run as bare proxies, without budgets or logs; Trimtab
runs with a key, a budget, a rule, its ledger and its traces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import PEERS, PORTKEY_MODULE, TRIMTAB, run
from bench.upstream import PATH, STATIC_MODEL, STREAM_MODEL, Upstreams, free_port

Headers = tuple[tuple[str, str], ...]
JSON_HEADERS: Headers = (("content-type", "application/json"), ("accept", "*/*"))
PEER_KEY = "sk-bench-0123456789abcdef0123456789abcdef"
PEER_HEADERS: Headers = (*JSON_HEADERS, ("authorization", f"Bearer {PEER_KEY}"))


@dataclass(frozen=True, slots=True)
class Way:
    """How to ask for one kind of answer: full URL, model name, headers (`{run}` stands for a run's name)."""

    url: str
    model: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to measure. `ways` gives (plain, streamed), or None while the address is not known yet."""

    ways: Callable[[], tuple[Way, Way] | None]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def direct(folder: Path, upstreams: Upstreams) -> Target:
    """The upstreams themselves: what everything else is compared with."""
    return Target(
        lambda: (
            Way(upstreams.static + "/chat/completions", STATIC_MODEL, PEER_HEADERS),
            Way(upstreams.streaming + "/chat/completions", STREAM_MODEL, PEER_HEADERS),
        )
    )


def fixed(port: int, headers: Headers) -> Callable[[], tuple[Way, Way]]:
    """The ways of a gateway that serves both models at one URL."""
    url = f"http://127.0.0.1:{port}{PATH}"
    return lambda: (Way(url, STATIC_MODEL, headers), Way(url, STREAM_MODEL, headers))


TRIMTAB_CONFIG = """\
[server]
data = "{folder}/data"

[[endpoint]]
name = "static"
url = "{upstreams.static}"
style = "openai"
models = ["{static_model}"]
concurrency = 256

[[endpoint]]
name = "streaming"
url = "{upstreams.streaming}"
style = "openai"
models = ["{stream_model}"]
concurrency = 256

[[budget]]
scope = "tenant"
window = "month"
limit_usd = 100000

[[rule]]
when = "workflow == 'nightly'"
policy = "cheapest"
"""


def trimtab(folder: Path, upstreams: Upstreams) -> Target:
    """Trimtab with everything on: key, budget, rule, ledger, traces. Raises Missing when there is no key."""
    config = folder / "trimtab.toml"
    config.write_text(
        TRIMTAB_CONFIG.format(
            folder=folder, upstreams=upstreams, static_model=STATIC_MODEL, stream_model=STREAM_MODEL
        )
    )
    program = str(TRIMTAB)
    who = ("--tenant", "bench", "--user", "u")
    create = (program, "keys", "create", "--config", str(config), *who, "--json")
    key = json.loads(run(create, "trimtab keys create"))["key"]
    port = free_port()
    headers: Headers = (
        *JSON_HEADERS,
        ("authorization", f"Bearer {key}"),
        ("x-trimtab-workflow", "triage"),
        ("x-trimtab-step", "classify"),
        ("x-trimtab-run", "{run}"),
    )
    serve = (program, "serve", "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    return Target(fixed(port, headers), serve)


def litellm(folder: Path, upstreams: Upstreams) -> Target:
    """LiteLLM's proxy, one worker, no database; it refuses to start without a master key, so it has one."""
    models = {STATIC_MODEL: upstreams.static, STREAM_MODEL: upstreams.streaming}
    config = folder / "litellm.yaml"
    entries = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "none"},
        }
        for model, base in models.items()
    ]
    config.write_text(json.dumps({"model_list": entries}))
    binaries = PEERS / "litellm" / "bin"
    port = free_port()
    address = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    env = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_MASTER_KEY": PEER_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    command = (str(binaries / "litellm"), "--config", str(config), *address, "--telemetry", "False")
    return Target(fixed(port, PEER_HEADERS), command, env)


def portkey(folder: Path, upstreams: Upstreams) -> Target:
    """Portkey's gateway on Node; the upstream is named in a header of each call."""
    port = free_port()
    url = f"http://127.0.0.1:{port}{PATH}"

    def headers(base: str) -> Headers:
        return (*PEER_HEADERS, ("x-portkey-provider", "openai"), ("x-portkey-custom-host", base))

    script = PORTKEY_MODULE / "build" / "start-server.js"
    return Target(
        lambda: (
            Way(url, STATIC_MODEL, headers(upstreams.static)),
            Way(url, STREAM_MODEL, headers(upstreams.streaming)),
        ),
        ("node", str(script), f"--port={port}", "--headless"),
        {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
    )


def tensorzero(folder: Path, upstreams: Upstreams) -> Target:
    """TensorZero's gateway as its Python package embeds it, observability off."""
    lines = ["[gateway]", "observability.enabled = false"]
    for model, base in ((STATIC_MODEL, upstreams.static), (STREAM_MODEL, upstreams.streaming)):
        provider = {"type": "openai", "model_name": model, "api_base": base + "/", "api_key_location": "none"}
        lines += [f'[models."{model}"]', 'routing = ["upstream"]', f'[models."{model}".providers.upstream]']
        lines += [f"{name} = {json.dumps(value)}" for name, value in provider.items()]
    config, url_file = folder / "tensorzero.toml", folder / "tensorzero.url"
    config.write_text("\n".join(lines) + "\n")

    def ways() -> tuple[Way, Way] | None:
        base = url_file.read_text() if url_file.exists() else ""
        if not base:
            return None
        url, prefix = base.rstrip("/") + "/chat/completions", "tensorzero::model_name::"
        return (
            Way(url, prefix + STATIC_MODEL, PEER_HEADERS),
            Way(url, prefix + STREAM_MODEL, PEER_HEADERS),
        )

    python = PEERS / "tensorzero" / "bin" / "python"
    host = Path(__file__).with_name("tensorzero_host.py")
    return Target(ways, (str(python), str(host), str(config), str(url_file)))


TARGETS: Mapping[str, Callable[[Path, Upstreams], Target]] = {
    "direct": direct,
    "trimtab": trimtab,
    "litellm": litellm,
    "portkey": portkey,
    "tensorzero": tensorzero,
}
