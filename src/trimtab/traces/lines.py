"""Files of one JSON object a line, plain or gzip: read with line numbers, written whole or not at all."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trimtab.core.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"


class LineReader:
    """Yields (number, line) from 1 on. `read_bytes` of the file's `total_bytes` are behind us."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw: IO[bytes] | None = None
        self.total_bytes = path.stat().st_size if path.is_file() else 0

    @property
    def read_bytes(self) -> int:
        """How far into the file (as it is on disk) reading has come."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.total_bytes

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Raises DataError where the file cannot be read on."""
        number = 0
        try:
            with self._path.open("rb") as raw:
                self._raw = raw
                packed = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                for number, line in enumerate(gzip.GzipFile(fileobj=raw) if packed else raw, start=1):
                    yield number, line
        except (OSError, EOFError, zlib.error) as error:
            raise self._unreadable(error, number) from error

    def _unreadable(self, error: Exception, number: int) -> DataError:
        file = str(self._path)
        if isinstance(error, FileNotFoundError):
            return DataError("no such file", file=file, remedy="check the path")
        if isinstance(error, EOFError):
            remedy = f"copy or download it again; {number} lines before this one are whole"
            return DataError("the gzip file is cut off", file=file, line=number + 1, remedy=remedy)
        if isinstance(error, gzip.BadGzipFile | zlib.error):
            remedy = "copy or download it again"
            return DataError(f"the gzip data is damaged: {error}", file=file, line=number + 1, remedy=remedy)
        reason = getattr(error, "strerror", None) or str(error)
        return DataError(f"cannot be read: {reason}", file=file, remedy="check the path")


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write lines to a file, gzip where its name ends in `.gz`; returns how many. Raises DataError.

    The file appears when it is whole; a failed export leaves what was there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    count = 0
    try:
        with _opened(partial, packed=path.suffix == ".gz") as file:
            for line in lines:
                file.write(line)
                count += 1
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot be written: {error.strerror}", file=str(path), remedy="check the path"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return count


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if not packed:
            yield raw
            return
        # No time and no name inside, so that equal exports are equal files.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
            yield file  # type: ignore[misc]
