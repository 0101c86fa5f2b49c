"""Models that run in this process, on OpenVINO, off the event loop. No torch."""

from importlib import import_module
from typing import TYPE_CHECKING

from trimtab.engines.adapters import Adapter, AdapterShelf, load_adapter, save_adapter
from trimtab.engines.arrays import part, read_arrays
from trimtab.engines.description import EncoderDescription, read_description
from trimtab.engines.memory import EmbeddingMemory

if TYPE_CHECKING:
    from trimtab.engines.encoder import Embeddings, Encoder, load_encoder
    from trimtab.engines.shelf import EncoderShelf
    from trimtab.engines.tokens import Tokens, load_tokens

_LATER = {
    "encoder": ("Embeddings", "Encoder", "load_encoder"),
    "shelf": ("EncoderShelf",),
    "tokens": ("Tokens", "load_tokens"),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> object:
    """What needs OpenVINO or tokenizers, when it is asked for: a step controller needs neither."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


__all__ = [
    "Adapter",
    "AdapterShelf",
    "EmbeddingMemory",
    "Embeddings",
    "Encoder",
    "EncoderDescription",
    "EncoderShelf",
    "Tokens",
    "load_adapter",
    "load_encoder",
    "load_tokens",
    "part",
    "read_arrays",
    "read_description",
    "save_adapter",
]
