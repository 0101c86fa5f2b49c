"""The encoders of this process: each folder is loaded once, whoever asks, with the adapters trained on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic as machine_monotonic

from trimtab.engines.adapters import Adapter, AdapterShelf, load_adapter
from trimtab.engines.encoder import Embeddings, Encoder, load_encoder

_ADAPTER_BYTES = 32 * 1024 * 1024


class EncoderShelf:
    """Constructed by `app/`. `cache` keeps compiled code between starts. For one thread."""

    def __init__(
        self,
        *,
        cache: Path | None = None,
        adapter_bytes: int = _ADAPTER_BYTES,
        monotonic: Callable[[], float] = machine_monotonic,
    ) -> None:
        self._cache, self._adapter_bytes, self._monotonic = cache, adapter_bytes, monotonic
        self._encoders: dict[Path, Encoder] = {}
        self._adapters: dict[Path, AdapterShelf] = {}

    def take(self, folder: Path) -> Encoder:
        """The encoder of a folder, warm.

        Raises:
            DataError: as `load_encoder` does.
        """
        folder = folder.resolve()
        if folder not in self._encoders:
            self._encoders[folder] = load_encoder(folder, cache=self._cache)
        return self._encoders[folder]

    def encode(self, folder: Path, texts: Sequence[str], adapter: Path | None = None) -> Embeddings:
        """Pooled vectors, [texts, width], by the encoder of a folder, under an adapter if one is named."""
        encoder = self.take(folder)
        if adapter is None:
            return encoder.encode(texts)
        folder = folder.resolve()
        if folder not in self._adapters:
            sizes = encoder.described

            def load(name: str) -> Adapter:
                return load_adapter(Path(name), sizes.layers, sizes.width, sizes.rank)

            self._adapters[folder] = AdapterShelf(load, self._adapter_bytes, self._monotonic)
        name = str(adapter.resolve())
        return encoder.encode(texts, (name, self._adapters[folder].take(name)))
