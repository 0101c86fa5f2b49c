"""Prometheus text, as far as reports need it: the samples of a few names. Everything else is passed over unread.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4). An engine's page is mostly histograms, so
reading only what is wanted keeps a scrape off the event loop's way.
"""

import math
import re
from collections.abc import Iterable, Mapping

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)", re.ASCII)
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")

Sample = tuple[Mapping[str, str], float]


class Exposition:
    """The samples of one page, by name without `_total`."""

    def __init__(self, page: bytes, names: Iterable[str]) -> None:
        wanted = {name: name for name in names} | {f"{name}_total": name for name in names}
        starts = tuple(wanted)
        self._samples: dict[str, list[Sample]] = {}
        for line in page.decode("utf-8", "replace").split("\n"):
            if not line.startswith(starts):
                continue
            found = _SAMPLE.match(line)
            name = wanted.get(found[1]) if found else None
            value = None if found is None else _number(found[3])
            if found is not None and name is not None and value is not None:
                self._samples.setdefault(name, []).append((_labels(found[2] or ""), value))

    def __bool__(self) -> bool:
        return bool(self._samples)

    def samples(self, name: str) -> list[Sample]:
        """Labels and values, in the page's order."""
        return self._samples.get(name, [])

    def total(self, name: str) -> float | None:
        """Summed over all label sets: the engines of a data-parallel group."""
        values = [value for _, value in self.samples(name)]
        return sum(values) if values else None

    def mean(self, name: str) -> float | None:
        """Over all label sets: for shares."""
        values = [value for _, value in self.samples(name)]
        return sum(values) / len(values) if values else None

    def count(self, name: str) -> int | None:
        """A total of things."""
        total = self.total(name)
        return None if total is None else round(total)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _labels(text: str) -> dict[str, str]:
    return {name: _ESCAPED.sub(_unescaped, value) for name, value in _LABEL.findall(text)}


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]
