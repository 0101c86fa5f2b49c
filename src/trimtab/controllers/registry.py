"""Packaged controllers on disk: `<root>/<workflow>/<kind>/<version>/`, each whole or not there at all.

What is loaded is what was packed: every file's hash is verified first. Which version is at work stands in the
database, not here.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from trimtab.controllers.card import card_markdown
from trimtab.controllers.manifest import Manifest, PackedFile
from trimtab.controllers.shared import (
    REMEDY,
    SHARED,
    files_of,
    packed_files,
    shared_files,
    sync,
    sync_all,
    verify_files,
)
from trimtab.core.errors import DataError

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
CARD, CARD_JSON = "card.md", "card.json"
_manifests = msgspec.json.Decoder(Manifest)


class Package(msgspec.Struct, frozen=True):
    """A controller in its folder."""

    manifest: Manifest
    folder: Path


class Broken(msgspec.Struct, frozen=True):
    """A folder that should hold a controller and does not, or not as it was packed; then `manifest` is there."""

    folder: Path
    reason: str
    manifest: Manifest | None = None


class Registry:
    """Constructed by `app/` and by `learning/`. Other processes may read and add at the same time.

    `cache` is for what engines compile of the weights; it may be deleted at any time. `shared` holds the encoders
    that several packages rest on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / ".compiled"
        self.shared = root / SHARED

    def folder(self, workflow: str, kind: str, version: str = "") -> Path:
        """Where a version stands, or all of a kind."""
        # A workflow may be called `..` or `a/b`; a folder may not.
        name = quote(workflow, safe="").replace(".", "%2E")
        return self.root / name / kind / version if version else self.root / name / kind

    def add(self, folder: Path, manifest: Manifest) -> Package:
        """Pack what lies in `folder`: copied, hashed, on disk, and then all at once in its place.

        `manifest.files` is filled in here, and a card is written where the folder has none. Raises DataError.
        """
        home = self.folder(manifest.workflow, manifest.kind, manifest.version)
        if home.exists():
            raise DataError("this version is there already", file=str(home), remedy="name another version")
        partial = home.with_name(f".{manifest.version}.{os.getpid()}.partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(MANIFEST, SEAL))
            packed = _pack(partial, manifest)
            sync_all(partial)
            partial.rename(home)
            sync(home.parent)
        except OSError as error:
            said = f"cannot be written: {error.strerror or error}"
            raise DataError(said, file=str(home), remedy="check the folder and the space left") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return Package(packed, home)

    def pin(self, encoders: Iterable[Path]) -> tuple[PackedFile, ...]:
        """The files of shared encoders, for `manifest.shared` of what rests on them. Raises DataError."""
        return shared_files(self.shared, encoders)

    def open(self, workflow: str, kind: str, version: str) -> Package:
        """A version whose every file is what was packed, the shared ones too. Raises DataError that names the file
        and a remedy."""
        home = self.folder(workflow, kind, version)
        manifest = read_manifest(home)
        found = (manifest.workflow, manifest.kind, manifest.version)
        if found != (workflow, kind, version):
            said = f"says it is {manifest.title}"
            raise DataError(
                said, file=str(home / MANIFEST), field="version", remedy="move it where it belongs"
            )
        verify(home, manifest)
        verify_files(self.shared, manifest.shared)
        return Package(manifest, home)

    def list(self) -> Iterator[Package | Broken]:
        """Everything that is there, by workflow, kind and version. Hashes of files are not verified."""
        for home in sorted(self.root.glob("*/*/*")):
            hidden = any(part.startswith(".") for part in home.relative_to(self.root).parts)
            if hidden or not home.is_dir():
                continue
            try:
                yield Package(read_manifest(home), home)
            except DataError as error:
                yield Broken(home, str(error))

    def versions(self, workflow: str, kind: str) -> Sequence[str]:
        """The versions of a workflow's controllers of a kind, the newest last."""
        homes = self.folder(workflow, kind).glob("*")
        return sorted(home.name for home in homes if home.is_dir() and not home.name.startswith("."))

    def delete(self, workflow: str, kind: str, version: str) -> bool:
        """Delete a version, whole or broken; False when it is not there. Raises DataError."""
        gone = self.set_aside(workflow, kind, version)
        if gone is not None:
            self.discard(gone)
        return gone is not None

    def set_aside(self, workflow: str, kind: str, version: str) -> Path | None:
        """Take a version out of sight, all at once; None when it is not there. `discard` it then, or `put_back`.

        Raises DataError.
        """
        home = self.folder(workflow, kind, version)
        if not home.is_dir():
            return None
        aside = home.with_name(f".{version}.{os.getpid()}.deleted")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            home.rename(aside)
        except OSError as error:
            raise _not_deleted(home, error) from error
        return aside

    def put_back(self, aside: Path, workflow: str, kind: str, version: str) -> None:
        """Undo `set_aside`. Raises DataError."""
        home = self.folder(workflow, kind, version)
        try:
            aside.rename(home)
        except OSError as error:
            raise _not_deleted(home, error) from error

    def discard(self, aside: Path) -> None:
        """Delete what was set aside. Raises DataError."""
        try:
            shutil.rmtree(aside)
        except OSError as error:
            raise _not_deleted(aside, error) from error


def place_of(home: Path) -> tuple[str, str, str]:
    """Workflow, kind and version by the place of a folder in the registry."""
    return unquote(home.parent.parent.name), home.parent.name, home.name


def read_manifest(home: Path) -> Manifest:
    """The manifest of a folder. Raises DataError."""
    file = home / MANIFEST
    try:
        content, seal = file.read_bytes(), (home / SEAL).read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        missing = Path(error.filename or file)
        raise DataError("the file is missing", file=str(missing), remedy=REMEDY) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", file=str(file), remedy=REMEDY) from error
    if hashlib.sha256(content).hexdigest() != seal:
        raise DataError("is not what was packed (its hash differs)", file=str(file), remedy=REMEDY)
    try:
        return _manifests.decode(content)
    except msgspec.DecodeError as error:
        remedy = "it was written by another version of trimtab; learn it again"
        raise DataError(str(error), file=str(file), remedy=remedy) from error


def verify(home: Path, manifest: Manifest) -> None:
    """Every file is there, is what was packed, and nothing else is. Raises DataError."""
    verify_files(home, manifest.files)
    listed = {file.path for file in manifest.files}
    try:
        found = _files(home)
    except OSError as error:  # it is being deleted
        raise DataError("cannot be read any more", file=str(home), remedy=REMEDY) from error
    for path in found:
        if path not in listed:
            raise DataError("was not packed", file=str(home / path), remedy="remove it from the folder")


def _pack(folder: Path, manifest: Manifest) -> Manifest:
    if not (folder / CARD).exists():
        (folder / CARD).write_text(card_markdown(manifest), encoding="utf-8")
    if not (folder / CARD_JSON).exists():
        (folder / CARD_JSON).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    packed = msgspec.structs.replace(manifest, files=packed_files(folder, _files(folder)))
    content = msgspec.json.format(msgspec.json.encode(packed, order="sorted"), indent=2)
    (folder / MANIFEST).write_bytes(content)
    (folder / SEAL).write_text(hashlib.sha256(content).hexdigest() + "\n", encoding="ascii")
    return packed


def _files(home: Path) -> list[str]:
    """Paths of all files but the manifest's own."""
    return [path for path in files_of(home) if path not in (MANIFEST, SEAL)]


def _not_deleted(place: Path, error: OSError) -> DataError:
    said = f"cannot be deleted: {error.strerror or error}"
    return DataError(said, file=str(place), remedy="check who owns the folder")
