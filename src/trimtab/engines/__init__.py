"""Models that run in this process, on OpenVINO, off the event loop. No torch."""

from trimtab.engines.adapters import Adapter, AdapterShelf, load_adapter, save_adapter
from trimtab.engines.arrays import part, read_arrays
from trimtab.engines.description import EncoderDescription, read_description
from trimtab.engines.encoder import Embeddings, Encoder, load_encoder
from trimtab.engines.memory import EmbeddingMemory
from trimtab.engines.shelf import EncoderShelf
from trimtab.engines.tokens import Tokens, load_tokens

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
