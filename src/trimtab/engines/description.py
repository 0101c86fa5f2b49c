"""What `encoder.json` says of an encoder's folder: sizes, precision, and which files belong to it."""

from pathlib import Path

import msgspec

from trimtab.core.errors import DataError

FORMAT = 1


class EncoderDescription(msgspec.Struct, frozen=True):
    """`rank` above zero: the graph takes LoRA deltas of that rank for its `layers`, one adapter a batch.

    `tokenizer` is a path from the folder, so that variants of one encoder share a file.
    """

    width: int
    layers: int
    vocabulary: int
    max_tokens: int
    precision: str
    rank: int = 0
    tokenizer: str = "tokenizer.json"
    format: int = FORMAT


def read_description(folder: Path) -> EncoderDescription:
    """The description in a folder.

    Raises:
        DataError: missing, unreadable, or of a format this version does not know.
    """
    path = folder / "encoder.json"
    try:
        described = msgspec.json.decode(path.read_bytes(), type=EncoderDescription)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"no encoder is described here: {error}", file=str(path)) from error
    if described.format != FORMAT:
        raise DataError(f"format {described.format} is unknown", file=str(path), field="format")
    return described
