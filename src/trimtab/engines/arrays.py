"""Named arrays in one file, without pickles."""

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trimtab.core.errors import DataError

REMEDY = "fetch the controller's folder again, or train it again"


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file.

    Raises:
        DataError: missing or damaged.
    """
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile, EOFError, AttributeError) as error:
        raise DataError(f"no arrays can be read: {error}", file=str(path), remedy=REMEDY) from error


def part(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    """One of them.

    Raises:
        DataError: it is not there.
    """
    if name not in arrays:
        raise DataError("missing", file=str(path), field=name, remedy=REMEDY)
    return arrays[name]
