"""The encoder of a text controller: adapted to its first task, made smaller in several ways, each judged on the task.

Called by `text.py` and `text_stages.py`; what serves is never chosen on the texts that set thresholds.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from trimtab.controllers import Head, Level, save_heads
from trimtab.engines import Adapter, load_adapter, load_encoder, read_description, save_adapter
from trimtab.learning.adapt import Classifier, Samples, adapt, lora_deltas, tokenise
from trimtab.learning.compress import Compressed, Source, quantise
from trimtab.learning.encoder import default_folder
from trimtab.learning.encoder import load_encoder as load_weights
from trimtab.learning.export import size_megabytes, to_graph, write_encoder
from trimtab.learning.labelled import Labelled
from trimtab.learning.text_calibration import indices
from trimtab.learning.text_task import Settings, TextStage
from trimtab.learning.variant import HEADS, Judged, Variant, variant_folder

_TIMED_TEXTS = 40
_EXACT = 1e-9


def write_base(folder: Path, samples: Sequence[str], weights: Path | None = None, rank: int = 8) -> None:
    """A base encoder in int8 for all workflows to share, which takes LoRA adapters of up to `rank`."""
    source = weights or default_folder()
    encoder = load_weights(source)
    tokenizer = source / "tokenizer.json"
    ids = _tokenised(tokenizer, [Labelled(text, "") for text in samples], ("",), 64)
    graph = quantise(to_graph(encoder, rank), ids, rank)
    write_encoder(graph, folder, encoder, tokenizer, precision="int8", rank=rank)


def fit(stage: TextStage) -> Source:
    """The encoder adapted to the first task, and what compression starts from."""
    task, regimen = stage.tasks[0], stage.settings.regimen
    weights = stage.settings.weights or default_folder()
    torch.manual_seed(regimen.seed)
    model = Classifier(load_weights(weights), len(task.labels), regimen.dropout)
    training, tuning = (
        _tokenised(weights / "tokenizer.json", part, task.labels, regimen.max_tokens)
        for part in (stage.kept[0], stage.tune[0] or stage.kept[0])
    )
    checkpoint = stage.folder / "checkpoint.pt"
    adapt(model, training, tuning, regimen, checkpoint=checkpoint, progress=stage.progress)
    return Source(model, training, tuning, regimen, stage.progress)


def judge(stage: TextStage, source: Source, compressed: Compressed) -> Judged:
    """Write a variant as a folder of its own and judge it as it will serve, on the texts that tune."""
    folder = stage.folder / variant_folder(compressed.variant)
    write_encoder(
        compressed.graph,
        folder,
        source.encoder,
        (stage.settings.weights or default_folder()) / "tokenizer.json",
        precision=compressed.variant,
        max_tokens=max(stage.settings.regimen.max_tokens, 128),
    )
    encoder = load_encoder(folder)
    first = Head(compressed.weight, compressed.bias)
    heads = {stage.tasks[0].name: first}
    for task, kept in zip(stage.tasks[1:], stage.kept[1:], strict=True):
        heads[task.name] = fit_head(encoder.encode([each.text for each in kept]), kept)
    save_heads(heads, folder / HEADS)
    judged = stage.tune[0] or stage.kept[0]
    texts = [each.text for each in judged]
    said = first.logits(encoder.encode(texts)).argmax(1)
    times = []
    for text in texts[:_TIMED_TEXTS]:
        begun = perf_counter()
        encoder.encode([f"{text} "])
        times.append(perf_counter() - begun)
    accuracy = float((said == indices(stage.tasks[0].labels, judged)).mean())
    return Judged(compressed.variant, accuracy, size_megabytes(folder), 1e3 * float(np.median(times)))


def own_levels(
    settings: Settings, made: Callable[[Variant], Judged]
) -> tuple[list[Level], tuple[Judged, ...]]:
    """The levels of an encoder all of whose weights were trained, and every variant that was `made`.

    fp32 is what the others are held against. Of those asked for, the first that loses no more than the allowance
    serves; where none does, costlier ways are tried in turn, and the most accurate of all serves.
    """
    precise = made("fp32")
    beside = [made("fp16")] if settings.precise else []
    tried: list[Judged] = []

    def kept_within() -> Judged | None:
        floor = precise.accuracy - settings.allowance - _EXACT
        return next((each for each in tried if each.accuracy >= floor), None)

    for variant in settings.variants:
        tried.append(made(variant))
    for variant in settings.fallbacks:
        if kept_within() is None and variant not in settings.variants:
            tried.append(made(variant))
    served = kept_within() or max(tried, key=lambda each: each.accuracy)
    names = [each.variant for each in (served, *beside)]
    levels = [encoder_level(name) for name in map(variant_folder, names)]
    return levels, (precise, *beside, *tried)


def shared_levels(stage: TextStage, shared: Path) -> tuple[list[Level], tuple[Judged, ...]]:
    """Heads, and with LoRA an adapter, for an encoder that other workflows use too."""
    adapter: Path | None = None
    sizes = read_description(shared)
    encoder, named = load_encoder(shared), None
    if stage.settings.regimen.mode == "lora":
        source = fit(stage)
        adapter = stage.folder / "adapter.npz"
        save_adapter(Adapter(*lora_deltas(source.model.encoder, sizes.layers)), adapter)
        named = (str(adapter), load_adapter(adapter, sizes.layers, sizes.width, sizes.rank))
    heads = {}
    for task, kept in zip(stage.tasks, stage.kept, strict=True):
        heads[task.name] = fit_head(encoder.encode([each.text for each in kept], named), kept)
    save_heads(heads, stage.folder / HEADS)
    judged, task = stage.tune[0] or stage.held[0], stage.tasks[0]
    begun = perf_counter()
    said = heads[task.name].logits(encoder.encode([each.text for each in judged], named)).argmax(1)
    milliseconds = 1e3 * (perf_counter() - begun) / len(judged)
    accuracy = float((said == indices(task.labels, judged)).mean())
    level = Level("int8", {}, encoder=os.path.relpath(shared, stage.folder), heads=HEADS)
    if adapter is not None:
        level = msgspec.structs.replace(level, adapter=adapter.name)
    variant = f"{sizes.precision}, {stage.settings.regimen.mode}"
    return [level], (Judged(variant, accuracy, size_megabytes(shared), milliseconds),)


def fit_head(embeddings: NDArray[np.float32], examples: Sequence[Labelled]) -> Head:
    """A head over vectors of an encoder that stays as it is: logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=1_000)
    model.fit(embeddings, [each.label for each in examples], sample_weight=[each.weight for each in examples])
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.array([0.0, bias[0]])
    return Head(weight.astype(np.float32), bias.astype(np.float32))


def encoder_level(folder: str) -> Level:
    """A level whose encoder and heads lie in one folder."""
    return Level(folder, {}, encoder=folder, heads=f"{folder}/{HEADS}")


def _tokenised(
    tokenizer: Path, examples: Sequence[Labelled], labels: Sequence[str], max_tokens: int
) -> Samples:
    targets = np.zeros((len(examples), len(labels)), np.float32)
    targets[np.arange(len(examples)), indices(labels, examples)] = 1.0
    texts, weights = [each.text for each in examples], [each.weight for each in examples]
    return tokenise(Tokenizer.from_file(str(tokenizer)), texts, targets, max_tokens, weights)
