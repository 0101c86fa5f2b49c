"""What is looked for in stored content: a shape, what replaces it, and a check where the shape alone says too
little.

Every expression starts with a literal or a set, looks behind so that it tries a run of characters only from
its start, and repeats possessively or within bounds: searching takes linear time. None matches a quote or a
backslash, and escapes are blanked out (NUL bytes) before the search.
"""

import re
from collections.abc import Callable, Iterator

import msgspec

from trimtab.guards.checksum import card_length, iban_length

Span = tuple[int, int, bytes]
"""(start, end, label)."""


class Pattern(msgspec.Struct, frozen=True):
    """`needle`: bytes without which nothing matches. `measure`: how much of a match counts."""

    label: bytes
    needle: bytes
    expression: re.Pattern[bytes]
    measure: Callable[[bytes], int]

    def spans(self, masked: bytes) -> Iterator[Span]:
        """Each find in `masked`."""
        if self.needle not in masked:
            return
        for found in self.expression.finditer(masked):
            if length := self.measure(found[0]):
                yield found.start(), found.start() + length, self.label


def _pattern(label: str, needle: bytes, expression: bytes, measure: Callable[[bytes], int] = len) -> Pattern:
    return Pattern(f"[{label}]".encode(), needle, re.compile(expression), measure)


def _address_length(text: bytes) -> int:
    return len(text) if all(int(octet) < 256 for octet in text.split(b".")) else 0


PATTERNS = (
    _pattern(
        "secret",
        b"PRIVATE KEY",
        rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^\"-]*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?",
    ),
    _pattern("secret", b"eyJ", rb"eyJ(?<![\w-].{3})[\w-]{8,}+\.eyJ[\w-]++(?:\.[\w-]*+)?"),
    _pattern("secret", b"earer ", rb"[Bb]earer (?<!\w.{7})[\w.~+/-]{16,}+=*+"),
    _pattern("secret", b"sk-", rb"sk-(?<![\w-].{3})[\w-]{16,}+"),
    _pattern("secret", b"_", rb"[ghnrs](?<!\w.)(?:h[pousr]|ithub_pat|f|pm|k_live|k_test)_\w{16,}+"),
    _pattern("secret", b"glpat-", rb"glpat-(?<![\w-].{6})[\w-]{16,}+"),
    _pattern("secret", b"xox", rb"xox[abeoprs]-(?<![\w-].{5})[\w-]{10,}+"),
    _pattern("secret", b"AIza", rb"AIza(?<![\w-].{4})[\w-]{35}"),
    _pattern("secret", b"IA", rb"A[KS]IA(?<!\w.{4})[0-9A-Z]{16}(?!\w)"),
    _pattern(
        "email",
        b"@",
        rb"[\w.%+-](?<![\w.%+-].)[\w.%+'-]*+@(?:[A-Za-z0-9-]{1,63}+\.){1,8}[A-Za-z]{2,24}+",
    ),
    _pattern(
        "iban",
        b"",
        rb"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}(?: ?[A-Z0-9]){11,30}+",
        iban_length,
    ),
    _pattern(
        "card",
        b"",
        rb"[2-6](?<![\w.].)"
        rb"(?:[0-9]{12,18}+|[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{3}([ -])[0-9]{6}\2[0-9]{5})"
        rb"(?!\w|\.[0-9])",
        card_length,
    ),
    _pattern("phone", b"+", rb"\+[1-9](?<![\w+].{2})(?:[ .()/-]{0,2}[0-9]){7,13}(?![0-9])"),
    _pattern("phone", b") ", rb"\([2-9](?<!\w.{2})[0-9]{2}\) [2-9][0-9]{2}[ .-][0-9]{4}(?!\w)"),
    _pattern("phone", b"", rb"[2-9](?<![\w.].)[0-9]{2}[ .-][2-9][0-9]{2}[.-][0-9]{4}(?!\w|[.-][0-9])"),
    _pattern(
        "phone",
        b"0",
        rb"0[1-9](?<![\w.+-].{2})"
        rb"(?:[0-9]{0,3}[ /-][0-9]{5,9}+|(?:[ .-][0-9]{2}){4}|[0-9]{1,3}(?: [0-9]{3,4}){2})"
        rb"(?!\w|[.-][0-9])",
    ),
    _pattern("ip", b".", rb"[0-9](?<![\w.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])", _address_length),
)
