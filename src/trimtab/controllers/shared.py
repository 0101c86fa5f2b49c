"""Encoders that several packages rest on: one folder each beside the packages, by a digest of what it was made from.

Whoever needs one first makes it, sealed with the hashes of its files, which are verified before another package rests
on it. A package's manifest pins them too, so that it is noticed at loading if anything was changed.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from trimtab.controllers.manifest import PackedFile
from trimtab.core.errors import DataError

SHARED, _SEAL = ".encoders", "files.json"
_sealed = msgspec.json.Decoder(tuple[PackedFile, ...])
REMEDY = "learn it again, or copy the folder again from where it was whole"


def shared_key(source: Path, *made_with: object) -> str:
    """A digest of every file's content in `source`, by path, and of what else decides how the folder is made."""
    digest = hashlib.sha256(repr(made_with).encode())
    for path in files_of(source):
        digest.update(f"\n{path} {hash_of(source / path)}".encode())
    return digest.hexdigest()[:32]


def publish(root: Path, key: str, make: Callable[[Path], object]) -> Path:
    """The shared folder of that key, verified; `make` fills it where there is none yet. Of two who make it at the same
    time, the first one's stands and both use it. Raises DataError."""
    home = root / key
    if home.is_dir():
        return _verified(home)
    workplace: Path | None = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        workplace = Path(mkdtemp(prefix=f".{key}.", dir=root))
        made = workplace / key
        make(made)
        (made / _SEAL).write_bytes(msgspec.json.encode(packed_files(made, files_of(made))))
        sync_all(made)
        _put(made, home)
        sync(root)
    except OSError as error:
        said = f"cannot be written: {error.strerror or error}"
        raise DataError(said, file=str(home), remedy="check the folder and the space left") from error
    finally:
        if workplace is not None:
            shutil.rmtree(workplace, ignore_errors=True)
    return _verified(home)


def packed_files(root: Path, paths: Iterable[str]) -> tuple[PackedFile, ...]:
    """Files of `root` with their hashes."""
    return tuple(PackedFile(path, hash_of(root / path), (root / path).stat().st_size) for path in paths)


def shared_files(root: Path, folders: Iterable[Path]) -> tuple[PackedFile, ...]:
    """Every file of those folders of `root`, as a manifest pins them. Raises DataError."""
    return packed_files(root, sorted({path for folder in folders for path in _below(root, folder)}))


def verify_files(root: Path, files: Iterable[PackedFile]) -> None:
    """Every file is there and is what was packed. Raises DataError."""
    for file in files:
        here = root / file.path
        if here.is_symlink() or (found := _size(here)) is None:
            raise DataError("the file is missing", file=str(here), remedy=REMEDY)
        if found != file.bytes:
            said = f"has {found:,} bytes, {file.bytes:,} were packed"
            raise DataError(said, file=str(here), remedy=REMEDY)
        if hash_of(here) != file.sha256:
            raise DataError("is not what was packed (its hash differs)", file=str(here), remedy=REMEDY)


def files_of(folder: Path) -> list[str]:
    """Paths of all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def hash_of(path: Path) -> str:
    """SHA-256. Raises DataError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path), remedy=REMEDY) from error


def sync_all(folder: Path) -> None:
    """Everything in a folder is on disk."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """A file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _verified(home: Path) -> Path:
    try:
        files = _sealed.decode((home / _SEAL).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        remedy = "remove the folder; it is made again"
        raise DataError(f"is not sealed: {error}", file=str(home), remedy=remedy) from error
    verify_files(home, files)
    return home


def _size(path: Path) -> int | None:
    """None where there is no such file, or no more."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _put(made: Path, home: Path) -> None:
    """What somebody else put there first stays."""
    try:
        made.rename(home)
    except OSError:
        if not home.is_dir():
            raise


def _below(root: Path, folder: Path) -> list[str]:
    try:
        place = folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError as error:
        remedy = "what a package rests on stands in the package or among the registry's encoders"
        raise DataError("is none of the registry's encoders", file=str(folder), remedy=remedy) from error
    return [f"{place}/{path}" for path in files_of(folder)]
