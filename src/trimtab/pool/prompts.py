"""Marks of a prompt: hashes of all its bytes up to fixed points, by which endpoints that saw the same prefix are found.

Bodies of one session begin alike, since clients append messages; points lie closer together where prompts are short.
"""

from hashlib import blake2b

from trimtab.scheduling import Mark

_BYTES_A_TOKEN = 4
_POINTS = (
    *range(1 << 10, 1 << 14, 1 << 10),
    *range(1 << 14, 1 << 16, 1 << 12),
    *range(1 << 16, (1 << 22) + 1, 1 << 15),
)


def marks_of(body: bytes, model: str) -> tuple[Mark, ...]:
    """The marks of a request to a model, shallowest first: (hash of the prefix, its tokens at four bytes each)."""
    chain, begin, length = blake2b(model.encode(), digest_size=8), 0, len(body)
    view, marks = memoryview(body), []
    for point in _POINTS:
        if point > length:
            break
        chain.update(view[begin:point])
        marks.append((chain.digest(), point // _BYTES_A_TOKEN))
        begin = point
    return tuple(marks)
