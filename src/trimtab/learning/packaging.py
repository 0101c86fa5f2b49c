"""Package: what a course made becomes a version in the registry, with its cards and reports."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from trimtab.controllers import Manifest, Package, Registry, new_version
from trimtab.learning.variant import HEADS
from trimtab.learning.workbench import CURATED, Shelf

_VERSION = "version.json"
_TAKEN = (".json", ".md")
_NOT_TAKEN = (CURATED,)


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def pack(
    manifest: Manifest,
    controller: Path,
    extra: Sequence[Path],
    shelf: Shelf,
    registry: Registry,
    now: float,
    name: Callable[[Path, Manifest, Path], None] = lambda *_: None,
) -> tuple[Package, bool]:
    """The version in the registry, and whether it is new: what was packed before is not packed again.

    `extra` are folders whose cards and reports go along; `name` is told where the package is made, its manifest, and
    where it will stand, and may write that into its files. Raises DataError.
    """
    dated = shelf.kept(_VERSION, _Dated)
    if dated is None:
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        dated = _Dated(new_version(moment, shelf.key), now)
        shelf.keep(_VERSION, dated)
    home = registry.folder(manifest.workflow, manifest.kind, dated.version)
    if home.exists():
        return registry.open(manifest.workflow, manifest.kind, dated.version), False
    made = shelf.folder / "package"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(controller, made)
    for folder in extra:
        for each in folder.iterdir():
            if each.suffix in _TAKEN and each.name not in _NOT_TAKEN and not each.name.startswith("."):
                shutil.copyfile(each, made / each.name)
    named = msgspec.structs.replace(manifest, version=dated.version, created=dated.at)
    name(made, named, home)
    package = registry.add(made, named)
    shutil.rmtree(made)
    return package, True


def kept_precise(bench: Path, version: str) -> Path | None:
    """The encoder in full precision of a version, where the workbench it was made on still holds it."""
    dated = Shelf(bench / "package", "").kept(_VERSION, _Dated)
    folder = bench / "compress" / "fp32"
    return folder if dated and dated.version == version and (folder / HEADS).is_file() else None


class _Dated(msgspec.Struct, frozen=True):
    """The version that this package is to have, however often packing is begun."""

    version: str
    at: float
