"""Identifiers that sort by time: 48 bits of milliseconds, then 80 random bits, in 26 characters.

Source: the ULID layout (Crockford base 32). `IdSource` is constructed once a process, by `app/`.
"""

import os

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_LETTER_OF_BYTE = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
_RANDOM_LETTERS = 16
_BLOCK = 400 * _RANDOM_LETTERS


class IdSource:
    """Makes ids; draws randomness in blocks, because one `urandom` a call is measurable on the hot path.

    For one thread: the event loop's.
    """

    def __init__(self) -> None:
        self._letters = ""
        self._at = 0
        self._moment = (-1, "")

    def new(self, now: float) -> str:
        """A fresh id for the moment `now` (epoch seconds)."""
        at, letters = self._at, self._letters
        if at == len(letters):
            letters, at = os.urandom(_BLOCK).translate(_LETTER_OF_BYTE).decode(), 0
            self._letters = letters
        self._at = end = at + _RANDOM_LETTERS
        known, time = self._moment
        milliseconds = int(now * 1000)
        if milliseconds != known:
            time = "".join([_PAIRS[(milliseconds >> shift) & 1023] for shift in (40, 30, 20, 10, 0)])
            self._moment = (milliseconds, time)
        return time + letters[at:end]
