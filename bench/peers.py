"""What the benchmark needs from elsewhere: load tools, and the gateways Trimtab is measured beside.

Everything that is not a Debian package lands in `bench/.peers/`. A peer that cannot be installed is named,
with the reason, and the benchmark goes on without it; without nginx, wrk and the tools there is no benchmark.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "bench" / ".peers"
INSTALL_SECONDS = 900

# Newer LiteLLM releases ask for a certifi that the package index may not have; this one installs and starts.
LITELLM = "litellm[proxy]==1.106.2"
TENSORZERO = "tensorzero==2026.6.0"
PORTKEY = "@portkey-ai/gateway", "1.15.2"
# Portkey changes response headers that later servers make immutable: every stream would be a 500
# (its issue 1389). 1.14.1 is the last that works.
PORTKEY_SERVER = "@hono/node-server", "1.14.1"
TOOLS = ("uvloop==0.23.0", "httptools==0.9.0", "py-spy==0.4.3")
DEBIAN = {"nginx": "nginx-light", "wrk": "wrk"}

TRIMTAB = Path(sys.prefix) / "bin" / "trimtab"
PORTKEY_MODULE = PEERS / "portkey" / "node_modules" / PORTKEY[0]


class Missing(Exception):
    """Something could not be installed or is not there; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What is installed: `python` runs the load tools; `versions` and `missing` (why not) by name."""

    python: Path
    py_spy: Path
    versions: dict[str, str]
    missing: dict[str, str]


def prepare(names: Sequence[str]) -> Kit:
    """Install what the targets in `names` still need. Raises Missing when the load tools cannot be had."""
    ensure_debian()
    tools = ensure_venv("tools", TOOLS)
    versions = {"nginx": nginx_version(), "wrk": wrk_version(), "uvloop": distribution(tools, "uvloop")}
    missing: dict[str, str] = {}
    for name in names:
        if name not in INSTALLERS:
            continue
        try:
            versions[name] = INSTALLERS[name]()
        except Missing as error:
            missing[name] = str(error)
    return Kit(tools / "bin" / "python", tools / "bin" / "py-spy", versions, missing)


def ensure_debian() -> None:
    """nginx and wrk from Debian, installed when absent and we may. Raises Missing otherwise."""
    absent = [package for program, package in DEBIAN.items() if not shutil.which(program)]
    if not absent:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *absent]
    if os.geteuid() != 0:
        raise Missing(f"{' and '.join(absent)} must be installed by root: {' '.join(command)}")
    # Runlevel 1 keeps the package scripts from starting nginx as a service on every address.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run(["apt-get", "update"], "apt-get update", quiet)
    run(command, f"apt-get install {' '.join(absent)}", quiet)


def ensure_venv(name: str, requirements: Sequence[str]) -> Path:
    """A virtual environment under `.peers/` with these requirements; installed anew when they change."""
    folder = PEERS / name
    stamp = folder / ".installed"
    wanted = "\n".join(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    print(f"installing {', '.join(requirements)}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-m", "venv", str(folder)], f"venv {name}")
    run([str(folder / "bin" / "pip"), "install", "--quiet", *requirements], f"pip install {wanted}")
    stamp.write_text(wanted)
    return folder


def install_litellm() -> str:
    """LiteLLM's proxy in its own environment; its version."""
    return distribution(ensure_venv("litellm", (LITELLM,)), "litellm")


def install_tensorzero() -> str:
    """TensorZero's Python package, which carries the gateway; its version."""
    return distribution(ensure_venv("tensorzero", (TENSORZERO,)), "tensorzero")


def install_portkey() -> str:
    """Portkey's open-source gateway by npm, without its install scripts; its version."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("node and npm are not installed")
    package, version = PORTKEY
    wanted = json.dumps(
        {"private": True, "dependencies": {package: version}, "overrides": dict([PORTKEY_SERVER])}
    )
    folder = PEERS / "portkey"
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {package} {version}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(wanted)
        flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        run(["npm", "install", "--prefix", str(folder), *flags], f"npm install {package}")
        stamp.write_text(wanted)
    node = run(["node", "--version"], "node --version").strip()
    return f"{version} (node {node})"


def find_trimtab() -> str:
    """Trimtab from the environment that runs this benchmark: its version, and this checkout's commit."""
    if not TRIMTAB.exists():
        raise Missing(f"{TRIMTAB} is not there: run this with the Python that Trimtab is installed for")
    version = distribution(Path(sys.prefix), "trimtab")
    try:
        commit = run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], "git rev-parse").strip()
    except Missing:
        return version
    return f"{version} ({commit})"


INSTALLERS: Mapping[str, Callable[[], str]] = {
    "trimtab": find_trimtab,
    "litellm": install_litellm,
    "portkey": install_portkey,
    "tensorzero": install_tensorzero,
}


def distribution(venv: Path, name: str) -> str:
    """The version of an installed distribution in `venv`."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return run([str(venv / "bin" / "python"), "-c", code], f"version of {name}").strip()


def nginx_version() -> str:
    """As nginx says it (on stderr)."""
    done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("/")[2]


def wrk_version() -> str:
    """As wrk says it; `wrk -v` ends with status 1."""
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    words = (done.stdout + done.stderr).split()
    return " ".join(words[1:2]) or "unknown"


def run(command: Sequence[str], what: str, env: Mapping[str, str] | None = None) -> str:
    """Run to the end and give stdout; raises Missing with the last lines of its output when it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
            env={**os.environ, **(env or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines()
        raise Missing(f"{what} failed: {' | '.join(lines[-3:])[:400]}")
    return done.stdout
