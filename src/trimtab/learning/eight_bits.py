"""An encoder as it comes, in int8, for the engine: only its weights are rounded, so no texts are needed for it.

`python -m trimtab.learning.eight_bits FOLDER [WEIGHTS]` is how a house that serves makes one, without torch of its own.
"""

import sys
from pathlib import Path

from trimtab.core.errors import DataError
from trimtab.learning.encoder import default_folder, load_encoder
from trimtab.learning.export import to_graph, write_encoder
from trimtab.learning.quiet_nncf import nncf

_MOST_TOKENS = 256


def write_int8(folder: Path, weights: Path | None = None) -> None:
    """The encoder of a Hugging Face folder, else MiniLM, as a folder the engine loads. Raises DataError."""
    source = weights or default_folder()
    encoder = load_encoder(source)
    graph = nncf.compress_weights(to_graph(encoder), mode=nncf.CompressWeightsMode.INT8_ASYM)
    most = min(_MOST_TOKENS, encoder.sizes.positions)
    write_encoder(graph, folder, encoder, source / "tokenizer.json", precision="int8", max_tokens=most)


if __name__ == "__main__":
    try:
        write_int8(*map(Path, sys.argv[1:3]))
    except (DataError, OSError) as error:
        sys.exit(str(error))
