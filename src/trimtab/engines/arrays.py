"""Named arrays in one file, without pickles."""

import zlib
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import DataError

# What zipfile, zlib and numpy's reading of headers raise for a damaged archive.
_DAMAGED = (BadZipFile, zlib.error, EOFError, TokenError, SyntaxError)
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, *_DAMAGED)
REMEDY = "fetch the controller's folder again, or train it again"


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file.

    Raises:
        DataError: missing or damaged; the field is the array at fault, or `$`.
    """
    name, found = "$", {}
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            for name in stored.files:
                found[name] = stored[name]
    except _UNREADABLE as error:
        problem = f"no arrays can be read: {error}"
        raise DataError(problem, file=str(path), field=name, remedy=REMEDY) from error
    return found


def part(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    """One of them.

    Raises:
        DataError: it is not there.
    """
    if name not in arrays:
        raise DataError("missing", file=str(path), field=name, remedy=REMEDY)
    return arrays[name]
