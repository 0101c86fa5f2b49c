"""Where a course keeps what its stages made, so that one that was interrupted goes on, and nothing stale is used.

Each stage has a folder with the key of what it was made from; another key, and the folder is emptied first.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import quote

import msgspec

from trimtab import __version__
from trimtab.core.errors import DataError

_KEY, _DONE = ".key", ".done"
_LOCK_TRIES, _LOCK_SECONDS = 10, 0.1
_CHUNK_BYTES = 1 << 20
# What holds words of recorded runs.
SNAPSHOT, CURATED, DISTILLED = "runs.jsonl.gz", "curated.json", "distilled.json"
# Raised when a stage makes something else of the same things.
_FORMAT = 2
_Product = TypeVar("_Product")


class Shelf:
    """One stage's folder. `is_done` once `finish` was called with the key it was opened with."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    @property
    def is_done(self) -> bool:
        """Whether the stage came to its end."""
        return (self.folder / _DONE).is_file()

    def finish(self) -> None:
        """Say that all is there."""
        write_whole(self.folder / _DONE, b"")

    def keep(self, name: str, product: object) -> None:
        """Write a value as JSON, whole or not at all."""
        write_whole(self.folder / name, msgspec.json.format(msgspec.json.encode(product), indent=1))

    def kept(self, name: str, kind: type[_Product]) -> _Product | None:
        """What `keep` wrote; None where it did not."""
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except msgspec.DecodeError as error:
            remedy = "delete the folder, or learn with --fresh"
            raise DataError(f"is not what was written: {error}", file=str(path), remedy=remedy) from error

    def need(self, name: str, kind: type[_Product]) -> _Product:
        """The same where it must be there. Raises DataError."""
        found = self.kept(name, kind)
        if found is None:
            raise DataError("is missing", file=str(self.folder / name), remedy="learn with --fresh")
        return found


class Workbench:
    """The folder of one workflow's controller of one kind. For one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, stage: str, *made_of: object) -> Shelf:
        """A stage's folder, empty unless it was begun from the very same by the same version of us."""
        key = digest(stage, __version__, _FORMAT, *made_of)
        folder = self.folder / stage
        known = folder / _KEY
        if not known.is_file() or known.read_text() != key:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_whole(known, key.encode())
        return Shelf(folder, key)

    def forget_texts(self) -> None:
        """Delete what holds words of recorded runs; a course finds its way by the digests that stay."""
        for name in (SNAPSHOT, CURATED, DISTILLED):
            for path in (self.folder / name, *self.folder.glob(f"*/{name}")):
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        for each in self.folder.iterdir() if self.folder.is_dir() else ():
            if each.is_dir():
                shutil.rmtree(each)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out. Raises DataError where another process learns here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / ".lock"
        with path.open("w") as lock:
            _take(lock, path)
            yield


def _take(lock: IO[str], path: Path) -> None:
    """A process that another thread is just starting holds whatever was open for a moment: hence the patience."""
    for left in range(_LOCK_TRIES - 1, -1, -1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if not left:
                said = "another process is learning this controller"
                raise DataError(said, file=str(path), remedy="wait for it, or end it") from error
        time.sleep(_LOCK_SECONDS)


def learning_folder(data: Path, workflow: str, kind: str) -> Path:
    """Where under the data folder a workflow's controller of a kind is made."""
    return data / "learning" / quote(workflow, safe="").replace(".", "%2E") / kind


def digest(*parts: object) -> str:
    """The same for the same values."""
    content = msgspec.json.encode(parts, order="sorted", enc_hook=str)
    return blake2b(content, digest_size=16).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, whenever the process ends. Raises DataError where there is no room or no right."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        said = f"cannot be written: {error.strerror}"
        remedy = "make room or check who owns the folder; the same command goes on where it was"
        raise DataError(said, file=str(path), remedy=remedy) from error


def digest_file(path: Path) -> str:
    """Of a file's content, and of the tools that may be declared beside it. Raises DataError."""
    hashed = blake2b(digest_size=16)
    try:
        for each in (path, *sorted(path.parent.glob("domains.jsonl*"))):
            with each.open("rb") as content:
                while chunk := content.read(_CHUNK_BYTES):
                    hashed.update(chunk)
    except OSError as error:
        said = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise DataError(said, file=str(path), remedy="check the path given with --from") from error
    return hashed.hexdigest()
