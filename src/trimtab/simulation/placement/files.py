"""From models.toml and gpus.toml to what is to be placed on what. Errors name file, line, key and remedy."""

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from trimtab.config import Key, Source, parse
from trimtab.core.errors import ConfigError
from trimtab.simulation.placement.demand import GpuFile, GpuGroup, ModelFile
from trimtab.simulation.placement.gpus import KINDS, GpuKind

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_T = TypeVar("_T", ModelFile, GpuFile)


class Pool(msgspec.Struct, frozen=True):
    """A group of GPUs with all its figures."""

    group: GpuGroup
    kind: GpuKind


class Order(msgspec.Struct, frozen=True):
    """What is to be placed on what; the sources place later errors in their files."""

    models: ModelFile
    gpus: GpuFile
    pools: tuple[Pool, ...]
    models_source: Source = Source()
    gpus_source: Source = Source()


def read_order(models: Path, gpus: Path) -> Order:
    """Both files, checked. Raises ConfigError."""
    asked, models_source = _read(models, ModelFile)
    there, gpus_source = _read(gpus, GpuFile)
    _check_names([each.name for each in asked.model], "model", models_source)
    for index, model in enumerate(asked.model):
        _check_names([each.name for each in model.adapter], f"model.{index}.adapter", models_source)
        for at, size in enumerate(model.tensor_parallel):
            if size & (size - 1):
                raise models_source.error(
                    ("model", index, "tensor_parallel", at), f"{size} is no power of two"
                )
        if model.input_tokens + model.output_tokens > model.max_context_tokens:
            key: Key = ("model", index, "max_context_tokens")
            needed = model.input_tokens + model.output_tokens
            fault = f"a request has {needed:,} tokens, more than this context; expected at least that"
            raise models_source.error(key, fault)
    _check_names([each.kind for each in there.gpu], "gpu", gpus_source)
    pools = tuple(_pool(each, index, gpus_source) for index, each in enumerate(there.gpu))
    return Order(asked, there, pools, models_source, gpus_source)


def _check_names(names: list[str], table: str, source: Source) -> None:
    parts: Key = tuple(int(part) if part.isdigit() else part for part in table.split("."))
    for index, name in enumerate(names):
        if name in names[:index]:
            raise source.error((*parts, index), f"{name!r} stands here twice; give each its own name")


def _pool(group: GpuGroup, index: int, source: Source) -> Pool:
    known = KINDS.get(group.kind)
    figures = (group.memory_gib, group.bandwidth_gb_per_second, group.tflops)
    if known is None and not all(figures):
        raise source.error(
            ("gpu", index, "kind"),
            f"{group.kind!r} is not known; there are {', '.join(KINDS)}; for another kind give memory_gib, "
            "bandwidth_gb_per_second and tflops = { fp16 = ... }",
        )
    base = known or GpuKind(group.kind, 0.0, 0.0, {})
    strange = sorted(set(group.mig_memory_gib) - {each.name for each in base.profiles})
    if strange:
        have = ", ".join(each.name for each in base.profiles) or "no MIG profiles"
        raise source.error(
            ("gpu", index, "mig_memory_gib"), f"{strange[0]!r} is none; {group.kind} has {have}"
        )
    profiles = tuple(
        msgspec.structs.replace(each, memory_gib=group.mig_memory_gib.get(each.name, each.memory_gib))
        for each in base.profiles
    )
    kind = GpuKind(
        group.kind,
        group.memory_gib or base.memory_gib,
        group.bandwidth_gb_per_second or base.bandwidth_gb_per_second,
        {**base.tflops, **group.tflops},
        profiles if group.mig else (),
    )
    return Pool(group, kind)


def _read(path: Path, kind: type[_T]) -> tuple[_T, Source]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("no such file; docs/placement.md shows one", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("this is not UTF-8; save the file as UTF-8", file=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    raw, source = parse(text, str(path))
    try:
        return msgspec.convert(raw, kind), source
    except msgspec.ValidationError as error:
        raise _explained(str(error), source) from None


def _explained(message: str, source: Source) -> ConfigError:
    what, _, path = message.partition(" - at `$")
    key: Key = tuple(name or int(index) for name, index in _STEP.findall(path))
    field = _FIELD.fullmatch(what)
    if field is None:
        return source.error(key, what.replace("`", ""))
    if field[1] == "contains unknown":
        return source.error((*key, field[2]), "unknown key; docs/placement.md lists those there are")
    return source.error((*key, field[2]), f"the key is missing; add `{field[2]} = ...`")
