"""Make an encoder smaller and judge it on its task: int8, int8 with layers left out, int8 and int4 trained for it, 2:4.

Every variant starts from the same fine-tuned fp32 encoder and ends as a folder the engine loads.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trimtab.learning.adapt import Classifier, Progress, Regimen, Samples, adapt
from trimtab.learning.encoder import TextEncoder
from trimtab.learning.export import to_graph
from trimtab.learning.quiet_nncf import nncf
from trimtab.learning.variant import Variant

INT4_GROUP = 64
_CALIBRATION_TEXTS = 300


@dataclass(frozen=True, slots=True)
class Source:
    """What all variants start from: the fine-tuned model, the texts to train and calibrate on, those to validate on."""

    model: Classifier
    training: Samples
    validation: Samples
    regimen: Regimen
    progress: Progress | None = None

    @property
    def encoder(self) -> TextEncoder:
        """The model's encoder."""
        assert isinstance(self.model.encoder, TextEncoder)
        return self.model.encoder

    def tuning(self, rate_share: float = 0.25, epochs: int = 1) -> Regimen:
        """A short training that follows a change of the weights."""
        rate = self.regimen.learning_rate * rate_share
        return replace(
            self.regimen, mode="full", epochs=epochs, learning_rate=rate, dropout=0.0, patience=epochs
        )


@dataclass(frozen=True, slots=True)
class Compressed:
    """A graph, and the head that goes with it: fine-tuning moves both."""

    variant: Variant
    graph: openvino.Model
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def compress(source: Source, variant: Variant) -> Compressed:
    """One variant. Those that train take about one epoch."""
    return _VARIANTS[variant](source, variant)


def calibration(samples: Samples, extra: Sequence[NDArray[np.float32]] = ()) -> nncf.Dataset:
    """Texts spread over the whole set, one a batch as they come when served; `extra` inputs are the same for all."""
    chosen = np.linspace(0, len(samples) - 1, min(_CALIBRATION_TEXTS, len(samples))).astype(int)
    return nncf.Dataset([[*_row(samples.ids[each]), *extra] for each in chosen])


def quantise(graph: openvino.Model, samples: Samples, rank: int = 0) -> openvino.Model:
    """Post-training int8: static scales, calibrated; LoRA's own products stay as they are."""
    ignored = nncf.IgnoredScope(names=_adapter_products(graph)) if rank else None
    unadapted = [np.zeros(tuple(each.get_shape()), np.float32) for each in graph.inputs[2:]]
    return nncf.quantize(
        graph,
        calibration(samples, unadapted),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=_CALIBRATION_TEXTS,
        ignored_scope=ignored,
    )


def _row(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [ids[None], np.ones((1, len(ids)), np.int64)]


def _adapter_products(graph: openvino.Model) -> list[str]:
    """Names of the matrix products that read an adapter: the first ones downstream of it."""
    found: set[str] = set()
    for parameter in graph.inputs[2:]:
        edge = [each.get_node() for each in parameter.get_target_inputs()]
        while edge:
            node = edge.pop()
            if node.get_type_name() == "MatMul":
                found.add(node.get_friendly_name())
                continue
            edge += [each.get_node() for output in node.outputs() for each in output.get_target_inputs()]
    return sorted(found)


def _head(model: Classifier) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return model.head.weight.detach().numpy().copy(), model.head.bias.detach().numpy().copy()


def _plain(source: Source, variant: Variant) -> Compressed:
    return Compressed(variant, to_graph(source.encoder), *_head(source.model))


def _int8(source: Source, variant: Variant) -> Compressed:
    return Compressed(variant, quantise(to_graph(source.encoder), source.training), *_head(source.model))


def _mixed(source: Source, variant: Variant) -> Compressed:
    """NNCF puts layers back into higher precision, the most sensitive first, until the task loses next to nothing."""
    weight, bias = _head(source.model)
    right = source.validation.targets.argmax(-1).numpy()

    def judge(compiled: openvino.CompiledModel, rows: Sequence[list[NDArray[np.int64]]]) -> float:
        said = [compiled(row)[0] for row in rows]
        return float(((np.concatenate(said) @ weight.T + bias).argmax(-1) == right[: len(said)]).mean())

    graph = nncf.quantize_with_accuracy_control(
        to_graph(source.encoder),
        calibration(source.training),
        nncf.Dataset([_row(each) for each in source.validation.ids]),
        judge,
        max_drop=0.002,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=_CALIBRATION_TEXTS,
    )
    return Compressed(variant, graph, weight, bias)


def _int8_trained(source: Source, variant: Variant) -> Compressed:
    """Quantisation-aware: weights and inputs of every layer stand on int8 grids while it trains on; then as int8.

    Our own, for NNCF's way builds a C++ extension at run time.
    """
    model = _trained_on_grid(source, _EightBits, _round_inputs, rate_share=0.25)
    assert isinstance(model.encoder, TextEncoder)
    return Compressed(variant, quantise(to_graph(model.encoder), source.training), *_head(model))


def _trained_on_grid(
    source: Source,
    grid: Callable[[], nn.Module],
    before: Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]] | None,
    rate_share: float,
) -> Classifier:
    """The model after an epoch with its weights on a grid, where they stay; `before` sees every layer's inputs."""
    model = deepcopy(source.model)
    layers = _linears(model)
    hooks = [layer.register_forward_pre_hook(before) for layer in layers] if before else []
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", grid(), unsafe=True)
    adapt(model, source.training, source.validation, source.tuning(rate_share), progress=source.progress)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return model


def _int4(source: Source, variant: Variant) -> Compressed:
    return Compressed(variant, _four_bits(to_graph(source.encoder)), *_head(source.model))


def _int4_trained(source: Source, variant: Variant) -> Compressed:
    """Trained with weights on the int4 grid; the grid then found again by the exporter is the very same."""
    model = _trained_on_grid(source, _FourBits, None, rate_share=0.5)
    assert isinstance(model.encoder, TextEncoder)
    return Compressed(variant, _four_bits(to_graph(model.encoder)), *_head(model))


def _sparse(source: Source, variant: Variant) -> Compressed:
    """Two of every four weights go, the smaller ones; the rest trains on under the mask, then int8."""
    model = deepcopy(source.model)
    layers = _linears(model)
    masks = [two_of_four(layer.weight.detach()) for layer in layers]

    @torch.no_grad()
    def keep_masks() -> None:
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.mul_(mask)

    keep_masks()
    regimen = source.tuning(0.5, epochs=2)
    adapt(model, source.training, source.validation, regimen, progress=source.progress, after_step=keep_masks)
    assert isinstance(model.encoder, TextEncoder)
    assert all(is_two_of_four(layer.weight) for layer in layers)
    return Compressed(variant, quantise(to_graph(model.encoder), source.training), *_head(model))


def two_of_four(weight: Tensor) -> Tensor:
    """A mask of ones where a weight is among the two largest of its four neighbours along the input."""
    fours = weight.abs().reshape(-1, 4)
    return torch.zeros_like(fours).scatter_(1, fours.topk(2, 1).indices, 1.0).reshape(weight.shape)


def is_two_of_four(weight: Tensor) -> bool:
    """Whether every four neighbours hold at least two zeros."""
    return bool(((weight.reshape(-1, 4) != 0).sum(1) <= 2).all())


def _linears(model: Classifier) -> list[nn.Linear]:
    return [each for each in model.encoder.modules() if isinstance(each, nn.Linear)]


def _four_bits(graph: openvino.Model) -> openvino.Model:
    """Matrix weights to int4 in groups; the table of words to int8, which costs nothing at run time."""
    return nncf.compress_weights(
        graph, mode=nncf.CompressWeightsMode.INT4_ASYM, group_size=INT4_GROUP, ratio=1.0, all_layers=False
    )


class _FourBits(nn.Module):
    """Weights on sixteen steps between the least and the greatest of each group; gradients pass straight through."""

    def forward(self, weight: Tensor) -> Tensor:
        groups = weight.reshape(weight.size(0), -1, INT4_GROUP)
        low, high = groups.amin(-1, keepdim=True).clamp(max=0.0), groups.amax(-1, keepdim=True).clamp(min=0.0)
        step = (high - low).clamp(min=1e-8) / 15
        zero = (-low / step).round()
        snapped = ((groups / step).round() + zero).clamp(0, 15).sub(zero).mul(step).reshape(weight.shape)
        return weight + (snapped - weight).detach()


class _EightBits(nn.Module):
    """Weights on 255 steps, even on both sides of zero, by row; gradients pass straight through."""

    def forward(self, weight: Tensor) -> Tensor:
        step = weight.abs().amax(-1, keepdim=True).clamp(min=1e-8) / 127
        return weight + ((weight / step).round() * step - weight).detach()


def _round_inputs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What goes into a layer, on 256 steps between its least and its greatest value."""
    (x,) = inputs
    low = x.detach().amin().clamp(max=0.0)
    step = (x.detach().amax() - low).clamp(min=1e-8) / 255
    return (x + (((x - low) / step).round() * step + low - x).detach(),)


_VARIANTS: dict[Variant, Callable[[Source, Variant], Compressed]] = {
    "fp32": _plain,
    "fp16": _plain,
    "int8": _int8,
    "int8-mixed": _mixed,
    "int8-qat": _int8_trained,
    "int4": _int4,
    "int4-qat": _int4_trained,
    "int8-2:4": _sparse,
}
