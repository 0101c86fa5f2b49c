"""Identifiers that sort by time: 48 bits of milliseconds, then 80 random bits, in 26 characters.

Source: the ULID layout (Crockford base 32). `IdSource` is constructed once a process, by `app/`.
"""

import os

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


class IdSource:
    """Makes ids; draws randomness in blocks, because one `urandom` a call is measurable on the hot path."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def new(self, now: float) -> str:
        """A fresh id for the moment `now` (epoch seconds)."""
        if self._at + 10 > len(self._pool):
            self._pool = os.urandom(4000)
            self._at = 0
        random = int.from_bytes(self._pool[self._at : self._at + 10], "big")
        self._at += 10
        value = (int(now * 1000) << 80) | random
        return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
