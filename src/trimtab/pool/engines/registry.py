"""Engines by the name they have in settings. A new engine is one module and one line here."""

from collections.abc import Mapping

from trimtab.pool.engines.dynamo import Dynamo
from trimtab.pool.engines.llamacpp import LlamaCpp
from trimtab.pool.engines.ollama import Ollama
from trimtab.pool.engines.pages import Reader
from trimtab.pool.engines.sglang import Sglang
from trimtab.pool.engines.vllm import Vllm

READERS: Mapping[str, Reader] = {
    "vllm": Vllm(),
    "sglang": Sglang(),
    "llama.cpp": LlamaCpp(),
    "ollama": Ollama(),
    "dynamo": Dynamo(),
}
