"""The course of a text controller: split, level 0, encoder, compression judged on the task, calibration, folder.

Every stage is a function of its own; `learn_text` is all of them in order.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from trimtab.controllers import (
    Calibration,
    Head,
    Level,
    LinearModel,
    TextController,
    TextDescription,
    TextHead,
    TextKind,
    save_heads,
)
from trimtab.core.errors import DataError
from trimtab.engines import Adapter, EncoderShelf, load_adapter, load_encoder, read_description, save_adapter
from trimtab.learning.adapt import Classifier, Progress, Regimen, Samples, adapt, lora_deltas, tokenise
from trimtab.learning.calibrate import Held, Promise, calibrate
from trimtab.learning.compress import Compressed, Source, Variant, compress, quantise
from trimtab.learning.encoder import default_folder
from trimtab.learning.encoder import load_encoder as load_weights
from trimtab.learning.export import size_megabytes, to_graph, write_encoder
from trimtab.learning.labelled import Labelled, split
from trimtab.learning.linear import train_linear

_TIMED_TEXTS = 40


class HeadTask(msgspec.Struct, frozen=True):
    """What one head is to learn. `outside` is the label, if any, of texts that belong to none of the others."""

    name: str
    kind: TextKind
    examples: tuple[Labelled, ...]
    outside: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Sorted, `outside` among them."""
        return tuple(sorted({each.label for each in self.examples}))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to learn. `allowance`: what int8 may lose of accuracy before costlier variants are tried, in order.

    `weights`: a Hugging Face folder, the default encoder otherwise. `shared`: the folder of a base encoder written by
    `write_base`, for modes that leave the encoder as it is (`head`, `lora`). `precise`: keep an fp16 level as well.
    """

    regimen: Regimen = field(default_factory=Regimen)
    promise: Promise = field(default_factory=Promise)
    allowance: float = 0.005
    fallbacks: tuple[Variant, ...] = ("int8-qat", "int8-mixed")
    held_share: float = 0.1
    weights: Path | None = None
    shared: Path | None = None
    precise: bool = True


class Judged(msgspec.Struct, frozen=True):
    """One variant on the held-back texts: accuracy, size on disk, median time of one text on one thread."""

    variant: str
    accuracy: float
    megabytes: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a course stands: the tasks split, and where its files go."""

    tasks: Sequence[HeadTask]
    kept: Sequence[tuple[Labelled, ...]]
    held: Sequence[tuple[Labelled, ...]]
    folder: Path
    settings: Settings
    progress: Progress | None = None

    @property
    def weights(self) -> Path:
        """The folder of the encoder to start from."""
        return self.settings.weights or default_folder()


def learn_text(
    name: str,
    version: str,
    tasks: Sequence[HeadTask],
    folder: Path,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Judged, ...]:
    """A controller's folder from labelled texts; the encoder is trained on the first task, the others read it.

    An interrupted course goes on after its last whole epoch. Returns the variants tried.
    """
    stage = begin(tasks, folder, settings or Settings(), progress)
    linear = train_linear({task.name: kept for task, kept in zip(tasks, stage.kept, strict=True)})
    linear.save(folder / "linear.npz")
    encoder_levels, judged = _encoder_levels(stage)
    levels = [Level("linear", {}, file="linear.npz"), *encoder_levels]
    heads = tuple(TextHead(task.name, task.kind, task.labels, task.outside) for task in tasks)
    write_controller(stage, TextDescription(name, version, heads, tuple(levels)), linear)
    return judged


def begin(
    tasks: Sequence[HeadTask], folder: Path, settings: Settings, progress: Progress | None = None
) -> Stage:
    """Check the tasks and hold back texts by group.

    Raises:
        DataError: a task has fewer than two labels, or too few texts to hold any back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [split(task.examples, settings.held_share, settings.regimen.seed) for task in tasks]
    for task, (kept, held) in zip(tasks, parts, strict=True):
        if len(task.labels) < 2 or not held or {each.label for each in kept} != set(task.labels):
            raise DataError(
                f"{len(task.labels)} labels, {len(kept)} texts to learn from and {len(held)} to judge by",
                file=task.name,
                remedy="every label needs texts of several groups",
            )
    return Stage(tasks, [kept for kept, _ in parts], [held for _, held in parts], folder, settings, progress)


def write_base(folder: Path, samples: Sequence[str], weights: Path | None = None, rank: int = 8) -> None:
    """A base encoder in int8 for all workflows to share, which takes LoRA adapters of up to `rank`."""
    source = weights or default_folder()
    encoder = load_weights(source)
    tokenizer = source / "tokenizer.json"
    ids = _tokenised(tokenizer, samples, ("",), [""] * len(samples), 64)
    graph = quantise(to_graph(encoder, rank), ids, rank)
    write_encoder(graph, folder, encoder, tokenizer, precision="int8", rank=rank)


def _encoder_levels(stage: Stage) -> tuple[list[Level], tuple[Judged, ...]]:
    if stage.settings.regimen.mode == "full":
        return _own_encoder(stage)
    if stage.settings.shared is None:
        raise DataError(
            "needs a shared encoder", file="settings", field="shared", remedy="write one by write_base"
        )
    return shared_levels(stage, stage.settings.shared)


def fit(stage: Stage) -> Source:
    """The encoder adapted to the first task, and what compression starts from."""
    task, regimen = stage.tasks[0], stage.settings.regimen
    torch.manual_seed(regimen.seed)
    model = Classifier(load_weights(stage.weights), len(task.labels), regimen.dropout)
    training, validation = (
        _tokenised(stage.weights / "tokenizer.json", [each.text for each in part], task.labels,
                   [each.label for each in part], regimen.max_tokens, [each.weight for each in part])
        for part in (stage.kept[0], stage.held[0])
    )  # fmt: skip
    checkpoint = stage.folder / "checkpoint.pt"
    adapt(model, training, validation, regimen, checkpoint=checkpoint, progress=stage.progress)
    return Source(model, training, validation, regimen, stage.progress)


def judge(stage: Stage, source: Source, compressed: Compressed) -> Judged:
    """Write a variant as a folder of its own and judge it as it will serve, on the texts held back."""
    name = variant_folder(compressed.variant)
    folder = stage.folder / name
    regimen = stage.settings.regimen
    write_encoder(
        compressed.graph, folder, source.encoder, stage.weights / "tokenizer.json",
        precision=compressed.variant, max_tokens=max(regimen.max_tokens, 128),
    )  # fmt: skip
    encoder = load_encoder(folder)
    first = Head(compressed.weight, compressed.bias)
    heads = {stage.tasks[0].name: first}
    for at, task in enumerate(stage.tasks[1:], start=1):
        embeddings = encoder.encode([each.text for each in stage.kept[at]])
        heads[task.name] = fit_head(embeddings, stage.kept[at])
    save_heads(heads, folder / "heads.npz")
    texts = [each.text for each in stage.held[0]]
    said = first.logits(encoder.encode(texts)).argmax(1)
    right = _indices(stage.tasks[0].labels, stage.held[0])
    times = []
    for text in texts[:_TIMED_TEXTS]:
        begun = perf_counter()
        encoder.encode([f"{text} "])
        times.append(perf_counter() - begun)
    return Judged(
        compressed.variant,
        float((said == right).mean()),
        size_megabytes(folder),
        1e3 * float(np.median(times)),
    )


def fit_head(embeddings: NDArray[np.float32], examples: Sequence[Labelled]) -> Head:
    """A head over vectors of an encoder that stays as it is: logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=1_000)
    model.fit(embeddings, [each.label for each in examples], sample_weight=[each.weight for each in examples])
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.array([0.0, bias[0]])
    return Head(weight.astype(np.float32), bias.astype(np.float32))


def write_controller(stage: Stage, described: TextDescription, linear: LinearModel) -> None:
    """Calibrate every head of every level on the texts held back, and write `controller.json`."""
    neutral = {task.name: Calibration() for task in stage.tasks}
    open_levels = tuple(msgspec.structs.replace(level, calibrations=neutral) for level in described.levels)
    _write(stage.folder, msgspec.structs.replace(described, levels=open_levels))
    controller = TextController.load(stage.folder, EncoderShelf())
    levels = []
    for level in open_levels:
        calibrations = {}
        for task, held in zip(stage.tasks, stage.held, strict=True):
            texts = [each.text for each in held]
            level_0 = (
                None if level.file else np.stack([linear.read(text).logits[task.name] for text in texts])
            )
            seen = Held(
                controller.logits(texts, level.name, task.name),
                level_0,
                _indices(task.labels, held),
                [each.group or each.text for each in held],
            )
            promise = stage.settings.promise
            # Whatever level 0 passes on goes to the encoder, however unsure it was.
            promise = replace(promise, margin=1.0) if level.file else promise
            calibrations[task.name] = calibrate(seen, task.labels, task.outside, promise)
        levels.append(msgspec.structs.replace(level, calibrations=calibrations))
    _write(stage.folder, msgspec.structs.replace(described, levels=tuple(levels)))


def _own_encoder(stage: Stage) -> tuple[list[Level], tuple[Judged, ...]]:
    """All weights trained: int8, costlier ways where it loses too much, and fp16 beside it."""
    source = fit(stage)
    judged = [judge(stage, source, compress(source, "fp16")), judge(stage, source, compress(source, "int8"))]
    for variant in stage.settings.fallbacks:
        if judged[0].accuracy - max(each.accuracy for each in judged[1:]) <= stage.settings.allowance:
            break
        judged.append(judge(stage, source, compress(source, variant)))
    best = max(judged[1:], key=lambda each: each.accuracy)
    names = [best.variant] + (["fp16"] if stage.settings.precise else [])
    return [encoder_level(variant_folder(name)) for name in names], tuple(judged)


def shared_levels(stage: Stage, shared: Path) -> tuple[list[Level], tuple[Judged, ...]]:
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
    save_heads(heads, stage.folder / "heads.npz")
    held, task = stage.held[0], stage.tasks[0]
    begun = perf_counter()
    said = heads[task.name].logits(encoder.encode([each.text for each in held], named)).argmax(1)
    milliseconds = 1e3 * (perf_counter() - begun) / len(held)
    accuracy = float((said == _indices(task.labels, held)).mean())
    level = Level("int8", {}, encoder=os.path.relpath(shared, stage.folder), heads="heads.npz")
    if adapter is not None:
        level = msgspec.structs.replace(level, adapter=adapter.name)
    variant = f"{sizes.precision}, {stage.settings.regimen.mode}"
    return [level], (Judged(variant, accuracy, size_megabytes(shared), milliseconds),)


def encoder_level(folder: str) -> Level:
    return Level(folder, {}, encoder=folder, heads=f"{folder}/heads.npz")


def variant_folder(variant: str) -> str:
    return variant.replace(":", "-")


def _write(folder: Path, described: TextDescription) -> None:
    (folder / "controller.json").write_bytes(msgspec.json.format(msgspec.json.encode(described), indent=1))


def _indices(labels: Sequence[str], examples: Sequence[Labelled]) -> NDArray[np.int64]:
    place = {label: index for index, label in enumerate(labels)}
    return np.array([place[each.label] for each in examples], np.int64)


def _tokenised(
    tokenizer: Path,
    texts: Sequence[str],
    labels: Sequence[str],
    right: Sequence[str],
    max_tokens: int,
    weights: Sequence[float] | None = None,
) -> Samples:
    targets = np.zeros((len(texts), len(labels)), np.float32)
    targets[np.arange(len(texts)), [labels.index(each) for each in right]] = 1.0
    return tokenise(Tokenizer.from_file(str(tokenizer)), texts, targets, max_tokens, weights)
