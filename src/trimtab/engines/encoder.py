"""An encoder in process, on OpenVINO: texts in, one pooled vector a text out; one thread, one replica.

Heads are applied to that vector by whoever has them, so one forward serves all. Never called on the event loop.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from trimtab.core.errors import DataError
from trimtab.engines.adapters import Adapter
from trimtab.engines.description import EncoderDescription, read_description
from trimtab.engines.memory import EmbeddingMemory
from trimtab.engines.tokens import Ids, Tokens, load_tokens, padded

Embeddings = NDArray[np.float32]
_MOST_BATCH = 16
_MOST_PADDING = 1.25
_MEMORY_BYTES = 16 * 1024 * 1024
_WARM_TEXTS = ("", "a text of a few words to warm up with", "and one that is " + "rather longer " * 12)


class Encoder:
    """Constructed by `load_encoder`. For one thread at a time."""

    def __init__(
        self, described: EncoderDescription, tokens: Tokens, compiled: openvino.CompiledModel
    ) -> None:
        self.described = described
        self._tokens = tokens
        self._request = compiled.create_infer_request()
        self._memory = EmbeddingMemory(_MEMORY_BYTES)
        shape = (described.layers, 2, described.width, described.rank)
        self._unadapted = Adapter(
            np.zeros(shape, np.float32), np.zeros((*shape[:2], shape[3], shape[2]), np.float32)
        )

    def encode(self, texts: Sequence[str], adapter: tuple[str, Adapter] | None = None) -> Embeddings:
        """Pooled vectors, [texts, width], in the order of the texts. `adapter`: its name and itself.

        Texts of like length are run together; those remembered are not run at all.
        """
        name = adapter[0] if adapter else ""
        out = np.empty((len(texts), self.described.width), np.float32)
        fresh: list[int] = []
        for index, text in enumerate(texts):
            known = self._memory.find(text, name)
            if known is None:
                fresh.append(index)
            else:
                out[index] = known
        ids = {index: self._tokens.ids(texts[index]) for index in fresh}
        for alike in _alike(ids):
            said = self._forward([ids[index] for index in alike], adapter[1] if adapter else self._unadapted)
            for index, row in zip(alike, said, strict=True):
                out[index] = row
                self._memory.keep(texts[index], row.copy(), name)
        return out

    def _forward(self, rows: Sequence[Ids], adapter: Adapter) -> Embeddings:
        inputs: list[Ids | Embeddings] = list(padded(rows))
        if self.described.rank:
            inputs += [adapter.down, adapter.up]
        said: Embeddings = self._request.infer(inputs, share_inputs=True, share_outputs=True)[0]
        return said


def load_encoder(folder: Path, *, cache: Path | None = None) -> Encoder:
    """The encoder of a folder, compiled for one thread and warmed up. With `cache`, compiled code is kept there.

    Raises:
        DataError: weights, tokenizer or description are missing, damaged or do not belong together.
    """
    described = read_description(folder)
    tokens = load_tokens(folder / described.tokenizer, described.max_tokens, described.vocabulary)
    encoder = Encoder(described, tokens, _compiled(folder, described, cache))
    try:
        encoder.encode(_WARM_TEXTS)
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"the encoder does not run: {error}", file=str(folder), remedy="weights and tokenizer must match"
        ) from error
    return encoder


def _compiled(folder: Path, described: EncoderDescription, cache: Path | None) -> openvino.CompiledModel:
    path = folder / "encoder.xml"
    for part in (path, path.with_suffix(".bin")):
        if not part.is_file():
            raise DataError("missing", file=str(part), field="weights", remedy="fetch the folder again")
    settings: dict[str, str | int | bool] = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
        # Else a CPU with bf16 computes what is not quantised in it: other decisions there than elsewhere, no faster.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if cache is not None:
        settings["CACHE_DIR"] = str(cache)
    try:
        model = openvino.Core().read_model(path)
        sizes = [each.get_partial_shape() for each in model.outputs]
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise DataError(
            f"weights cannot be read: {error}",
            file=str(path),
            field="weights",
            remedy="fetch the folder again",
        ) from error
    inputs = 4 if described.rank else 2
    if len(model.inputs) != inputs or len(sizes) != 1 or sizes[0][1] != described.width:
        raise DataError(
            f"{len(model.inputs)} inputs and output {sizes[0]} where encoder.json says {inputs} inputs and width"
            f" {described.width}",
            file=str(path),
            field="weights",
            remedy="the files of a folder belong together",
        )
    return compiled


def _alike(ids: dict[int, Ids]) -> list[list[int]]:
    """Batches of texts of like length, so that little is computed on padding."""
    cut: list[list[int]] = []
    for index in sorted(ids, key=lambda each: len(ids[each])):
        fits = (
            cut
            and len(cut[-1]) < _MOST_BATCH
            and len(ids[index]) <= max(_MOST_PADDING * len(ids[cut[-1][0]]), len(ids[cut[-1][0]]) + 4)
        )
        if fits:
            cut[-1].append(index)
        else:
            cut.append([index])
    return cut
