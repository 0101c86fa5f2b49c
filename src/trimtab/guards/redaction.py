"""Takes personal data and secrets out of trace content, before it is stored and never on its way.

A scrubber of patterns, not a guarantee: it knows e-mail addresses, phone numbers with a leading +, in North
American or in common European grouping, payment cards, IBANs, IPv4 addresses, and keys and tokens of
well-known shapes. It does not know names, postal addresses, dates of birth, digit runs without grouping that
may be phone numbers, addresses with non-ASCII letters, or anything that is encoded (base64, \\u escapes) or
split over the pieces of a stream. What must never be stored must not be sent to a store that relies on this.
"""

import re

from trimtab.guards.patterns import PATTERNS

_UNICODE_ESCAPE = re.compile(rb"\\u[0-9A-Fa-f]{4}")
_ESCAPES = tuple(b"\\" + each for each in (b'"', b"/", b"b", b"f", b"n", b"r", b"t"))
_DIGITS = re.compile(rb"[0-9]++")
_NUMBER_BEFORE = re.compile(rb'(?:\\":|[\[,])(?:\s|\\[nrt])*\Z')
_NUMBER_AFTER = re.compile(rb"(?:\s|\\[nrt])*[,\]}]")
_NEAR = 64


def redact(content: bytes) -> bytes:
    """`content` (JSON, or UTF-8 text) with each find replaced by `[email]`, `[phone]`, `[card]`, `[iban]`,
    `[ip]` or `[secret]`.

    Valid JSON stays valid, because no find takes in a quote or part of an escape, and a number that stands
    outside a string becomes 0 instead of a label; so does one in JSON held in a string (tool arguments).
    Takes linear time.
    """
    masked = _mask(content)
    spans = sorted(span for pattern in PATTERNS for span in pattern.spans(masked))
    pieces: list[bytes] = []
    done = counted = 0
    quoted = False
    for start, end, label in spans:
        if start >= done:
            quoted ^= bool(masked.count(b'"', counted, start) & 1)
            counted = start
            pieces += (content[done:start], b"0" if _is_number(content, start, end, quoted) else label)
        done = max(done, end)
    pieces.append(content[done:])
    return b"".join(pieces)


def _mask(content: bytes) -> bytes:
    """`content` with JSON's escapes as NUL bytes, each as long as it was, so that quotes and offsets hold."""
    if b"\\" not in content:
        return content
    masked = content.replace(b"\\\\", b"\0\0")
    for escape in _ESCAPES:
        masked = masked.replace(escape, b"\0\0")
    return _UNICODE_ESCAPE.sub(b"\0" * 6, masked)


def _is_number(content: bytes, start: int, end: int, quoted: bool) -> bool:
    if not _DIGITS.fullmatch(content, start, end):
        return False
    if not quoted:
        return True
    before = content[max(0, start - _NEAR) : start]
    return bool(_NUMBER_BEFORE.search(before) and _NUMBER_AFTER.match(content, end))
