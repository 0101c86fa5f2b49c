"""From the trained graph to a folder the engine loads: conversion, description, tokenizer."""

import shutil
import warnings
from pathlib import Path

import msgspec
import openvino
import torch
from torch import nn

from trimtab.engines import EncoderDescription
from trimtab.learning.encoder import TextEncoder


def to_graph(encoder: TextEncoder, rank: int = 0) -> openvino.Model:
    """The encoder as an OpenVINO graph of any batch and length; with `rank`, LoRA deltas are inputs three and four."""
    sizes = encoder.sizes
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    example: dict[str, torch.Tensor] = {"ids": torch.full((2, 9), 5), "mask": mask}
    if rank:
        example["down"] = torch.zeros(sizes.layers, 2, sizes.width, rank)
        example["up"] = torch.zeros(sizes.layers, 2, rank, sizes.width)
    graph = convert(encoder.eval(), example)
    shapes: dict[int, list[int]] = {0: [-1, -1], 1: [-1, -1]}
    if rank:
        shapes |= {2: list(example["down"].shape), 3: list(example["up"].shape)}
    graph.reshape({graph.inputs[at]: openvino.PartialShape(shape) for at, shape in shapes.items()})
    return graph


def convert(module: nn.Module, example: object) -> openvino.Model:
    """A torch module as an OpenVINO graph, traced on an example."""
    with torch.no_grad(), warnings.catch_warnings():
        # OpenVINO traces by an interface that torch 2.13 calls old.
        warnings.simplefilter("ignore")
        return openvino.convert_model(module, example_input=example)


def write_encoder(
    graph: openvino.Model,
    folder: Path,
    sizes: TextEncoder | EncoderDescription,
    tokenizer: Path,
    *,
    precision: str,
    max_tokens: int = 256,
    rank: int = 0,
) -> EncoderDescription:
    """Write graph, description and tokenizer into a folder. Weights are stored in fp16
    where `precision` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(graph, folder / "encoder.xml", compress_to_fp16=precision == "fp16")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    shape = sizes.sizes if isinstance(sizes, TextEncoder) else sizes
    described = EncoderDescription(shape.width, shape.layers, shape.vocabulary, max_tokens, precision, rank)
    (folder / "encoder.json").write_bytes(msgspec.json.format(msgspec.json.encode(described)))
    return described


def size_megabytes(folder: Path) -> float:
    """Of the weights on disk."""
    return (folder / "encoder.bin").stat().st_size / 1e6
