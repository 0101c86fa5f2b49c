"""Prompts of a wanted size, made up of plain words: the same ones for the same session, so that prefix caches find what
they would have found. About four characters a token.
"""

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from trimtab.simulation.chat import Message

if TYPE_CHECKING:
    from trimtab.simulation.loading.steps import StepLine

CHARACTERS_A_TOKEN = 4
_WORDS = (
    "a an all and any are as ask at away back base been best book both but call can case city come cost data day "
    "did do done down each easy edge even ever face fact far few file find fine first for form free from full game "
    "gave get give goal good had half hand hard has have he head hear help her here high him his hold home hope how "
    "if in into is it item its just keep kind know last late lead left less let life like line list live long look"
)
_BLOCK = 1 << 16


class Piece(msgspec.Struct, frozen=True):
    """So many characters of a text that its seed names."""

    seed: str
    characters: int


Context = tuple[Piece, ...]


def grown(line: "StepLine", shared: Context | None, scale: float) -> Context:
    """The prompt of a step: what it shares with an earlier one (or with its session and system prompt), and its own."""
    size = max(1, round(line.input_tokens * scale)) * CHARACTERS_A_TOKEN
    common = min(size, round(line.share_tok * scale) * CHARACTERS_A_TOKEN)
    session = line.sess or line.run
    if shared is None:
        system = min(size, round(line.sys_tok * scale) * CHARACTERS_A_TOKEN)
        shared = (Piece(f"system {line.sys}", system), Piece(f"session {session}", max(0, common - system)))
        common = max(common, system)
    kept = _cut(shared, common)
    left = size - sum(each.characters for each in kept)
    return (*kept, Piece(f"{line.run} {line.step}", left)) if left else kept


def messages_of(context: Context, salt: str) -> tuple[Message, ...]:
    """The prompt as a system and a user message; `salt` keeps the sessions of different plays apart."""
    head, *rest = context
    if not head.seed.startswith("system ") or not rest:
        return (Message("user", "".join(text_of(each, salt) for each in context)),)
    user = "".join(text_of(each, salt) for each in rest)
    return (Message("system", text_of(head, "")), Message("user", user))


def text_of(piece: Piece, salt: str) -> str:
    """The characters of a piece; none but system prompts are the same in two plays."""
    mark = hashlib.blake2b(f"{salt} {piece.seed}".encode(), digest_size=8)
    start = int.from_bytes(mark.digest()[:4]) % _BLOCK
    head = f"[{mark.hexdigest()}] "
    block = _block()
    times = (start + piece.characters) // len(block) + 1
    return (head + (block * times)[start:])[: piece.characters]


@cache
def _block() -> str:
    """A long text of plain words, always the same."""
    known, words = _WORDS.split(), list[str]()
    at, size = 0, 0
    while size < _BLOCK:
        at = (at * 1103515245 + 12345) % (1 << 31)
        words.append(known[(at >> 8) % len(known)])
        size += len(words[-1]) + 1
    return " ".join(words)[: _BLOCK - 1] + " "


def _cut(context: Context, characters: int) -> Context:
    """The first so many characters."""
    kept: list[Piece] = []
    for piece in context:
        if characters <= 0:
            break
        kept.append(Piece(piece.seed, min(piece.characters, characters)))
        characters -= piece.characters
    return tuple(kept)
