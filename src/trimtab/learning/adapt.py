"""Adapt an encoder to labelled texts: a head alone, LoRA, or all weights. Seeded, resumable after every epoch.

Token ids are made once, and batches hold texts of like length, which is what makes two CPU cores enough.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from trimtab.learning.encoder import TextEncoder

Mode = Literal["head", "lora", "full"]
Progress = Callable[[str, float], None]
_HEAD_RATE_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Regimen:
    """How to train. `learning_rate` is of the encoder's weights; the head learns ten times as fast.

    `patience` is how many epochs may pass without a better validation before training stops.
    """

    mode: Mode = "full"
    epochs: int = 6
    learning_rate: float = 1e-4
    batch: int = 32
    max_tokens: int = 48
    patience: int = 2
    rank: int = 8
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Samples:
    """Tokenised texts with their targets.

    `targets` is [texts, labels], rows summing to one: hard choices, or soft ones of several teachers.
    """

    ids: tuple[NDArray[np.int64], ...]
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.ids)


class Classifier(nn.Module):
    """An encoder and one linear head."""

    def __init__(self, encoder: TextEncoder, labels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.sizes.width, labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits [batch, labels]."""
        logits: Tensor = self.head(self.dropout(self.encoder(ids, mask)))
        return logits


def tokenise(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    targets: NDArray[np.float32],
    max_tokens: int,
    weights: Sequence[float] | None = None,
) -> Samples:
    """Token ids once and for all, cut at `max_tokens`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    ids = tuple(np.asarray(each.ids, np.int64) for each in tokenizer.encode_batch(list(texts)))
    counted = torch.tensor(weights if weights is not None else [1.0] * len(ids), dtype=torch.float32)
    return Samples(ids, torch.from_numpy(targets), counted)


def padded(ids: Sequence[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, [texts, longest of them]."""
    longest = max(len(each) for each in ids)
    table = np.zeros((len(ids), longest), np.int64)
    mask = np.zeros_like(table)
    for row, each in enumerate(ids):
        table[row, : len(each)], mask[row, : len(each)] = each, 1
    return torch.from_numpy(table), torch.from_numpy(mask)


def batches(samples: Samples, size: int, order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Indices of batches of like length, in random order: sorted within windows of 32 batches of `order`."""
    window = size * 32
    cut: list[NDArray[np.int64]] = []
    for start in range(0, len(order), window):
        near = order[start : start + window]
        near = near[np.argsort([len(samples.ids[each]) for each in near], kind="stable")]
        cut.extend(near[at : at + size] for at in range(0, len(near), size))
    for index in np.random.default_rng(len(order) + int(order[0])).permutation(len(cut)):
        yield cut[index]


def logits_of(model: nn.Module, samples: Samples, size: int = 64) -> Tensor:
    """What a model says of every sample, [texts, labels]; short texts are run together, order is kept."""
    order = np.argsort([len(each) for each in samples.ids], kind="stable")
    said: list[Tensor] = []
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), size):
            said.append(model(*padded([samples.ids[each] for each in order[start : start + size]])))
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.from_numpy(order)] = torch.arange(len(order))
    return torch.cat(said)[back].clone()


def accuracy(model: nn.Module, samples: Samples) -> float:
    """The share of texts whose likeliest label is the target's."""
    right = logits_of(model, samples).argmax(-1) == samples.targets.argmax(-1)
    return float(right.float().mean())


def adapt(
    model: Classifier,
    training: Samples,
    validation: Samples,
    regimen: Regimen,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    after_step: Callable[[], None] | None = None,
) -> float:
    """Train `model` in place and leave it at its best epoch; returns that epoch's validation accuracy.

    With `checkpoint`, a training that was interrupted goes on after its last whole epoch.
    `after_step` runs after every step of the optimiser: masks of pruned weights are kept by it.
    """
    torch.manual_seed(regimen.seed)
    _choose_trained(model, regimen)
    course = _Course(model, training, regimen, checkpoint)
    course.resume()
    while course.epoch < regimen.epochs and course.stale < regimen.patience:
        course.run_epoch(training, progress, after_step)
        course.judge(accuracy(model, validation))
    course.restore_best()
    return course.best


class _Course:
    """One training: optimiser, rate schedule, best state so far."""

    def __init__(
        self, model: Classifier, training: Samples, regimen: Regimen, checkpoint: Path | None
    ) -> None:
        self.model, self.regimen, self.checkpoint = model, regimen, checkpoint
        self.epoch, self.stale, self.best = 0, 0, -1.0
        self._best_state: dict[str, Tensor] = {}
        head = [each for each in model.head.parameters()]
        body = [each for each in model.encoder.parameters() if each.requires_grad]
        rates = [{"params": head, "lr": regimen.learning_rate * _HEAD_RATE_FACTOR}]
        if body:
            rates.append({"params": body, "lr": regimen.learning_rate})
        self.optimiser = torch.optim.AdamW(rates, weight_decay=0.01, fused=True)
        steps = max(1, regimen.epochs * -(-len(training) // regimen.batch))
        warm = max(1, steps // 20)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda at: min((at + 1) / warm, max(0.02, (steps - at) / steps))
        )

    def run_epoch(
        self, training: Samples, progress: Progress | None, after_step: Callable[[], None] | None
    ) -> None:
        """Once through the training texts, in an order of this epoch's own."""
        self.model.train()
        torch.manual_seed(self.regimen.seed * 1000 + self.epoch)
        order = np.random.default_rng((self.regimen.seed, self.epoch)).permutation(len(training))
        done = 0
        for chosen in batches(training, self.regimen.batch, order):
            self._step(training, chosen)
            if after_step is not None:
                after_step()
            done += len(chosen)
            if progress is not None:
                progress(f"epoch {self.epoch + 1}", (self.epoch + done / len(training)) / self.regimen.epochs)
        self.epoch += 1

    def _step(self, training: Samples, chosen: NDArray[np.int64]) -> None:
        picked = torch.from_numpy(chosen)
        logits = self.model(*padded([training.ids[each] for each in chosen]))
        losses = F.cross_entropy(logits, training.targets[picked], reduction="none")
        loss = (losses * training.weights[picked]).sum() / training.weights[picked].sum().clamp(min=1e-6)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()

    def judge(self, score: float) -> None:
        """Keep the state if it is the best one, and lay down the checkpoint."""
        self.stale = 0 if score > self.best else self.stale + 1
        if score > self.best:
            self.best = score
            self._best_state = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.checkpoint is None:
            return
        state = {
            "model": self.model.state_dict(),
            "best_state": self._best_state,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": {"epoch": self.epoch, "stale": self.stale, "best": self.best},
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.checkpoint.with_suffix(".part")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on where an interrupted training stopped."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self._best_state = state["best_state"]
        done = state["progress"]
        self.epoch, self.stale, self.best = done["epoch"], done["stale"], done["best"]

    def restore_best(self) -> None:
        """Leave the model as it was at its best."""
        if self._best_state:
            self.model.load_state_dict(self._best_state)
        self.model.eval()


def _choose_trained(model: Classifier, regimen: Regimen) -> None:
    """Freeze what the mode does not train; wrap the encoder for LoRA."""
    if regimen.mode == "head":
        model.encoder.requires_grad_(False)
    elif isinstance(model.encoder, TextEncoder):
        # Half of all weights, of which a batch touches a handful: not worth an optimiser's state.
        model.encoder.words.requires_grad_(False)
    if regimen.mode == "lora" and isinstance(model.encoder, TextEncoder):
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=regimen.rank, lora_alpha=2 * regimen.rank, target_modules=["query", "value"])
        model.encoder = get_peft_model(model.encoder, config)


def lora_deltas(encoder: nn.Module, layers: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(down, up) of an encoder trained in mode `lora`, as `TextEncoder.forward` takes them, scale included."""
    modules = dict(encoder.named_modules())
    down, up = [], []
    for index in range(layers):
        for part in ("query", "value"):
            name = f"base_model.model.layers.{index}.{part}"
            scale = modules[name].scaling["default"]
            down.append(modules[f"{name}.lora_A.default"].weight.detach().T.numpy())
            up.append(modules[f"{name}.lora_B.default"].weight.detach().T.numpy() * scale)
    shape = (layers, 2)
    return (
        np.stack(down).astype(np.float32).reshape(*shape, *down[0].shape),
        np.stack(up).astype(np.float32).reshape(*shape, *up[0].shape),
    )
