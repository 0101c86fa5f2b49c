"""Spending as CSV, for spreadsheets: exact amounts, and no cell that a spreadsheet would run. Pure."""

import csv
import io
from collections.abc import Sequence

from trimtab.core import usd_text
from trimtab.store import SpendSums

_AMOUNTS = (
    "usd", "nanodollars", "entries", "input_tokens", "cached_tokens", "output_tokens", "estimated_usd", "unpriced",
    "upstream_usd", "saved_usd_estimate",
)  # fmt: skip
# What begins so is a formula, whatever is meant by it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def sheet_of(field: str, names: Sequence[str], rows: Sequence[SpendSums]) -> str:
    """Lines under a heading: a name for each row, then its amounts."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([field, *_AMOUNTS])
    writer.writerows([inert(name), *_amounts(row)] for name, row in zip(names, rows, strict=True))
    return written.getvalue()


def inert(text: str) -> str:
    """A cell's text, marked as text where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _amounts(row: SpendSums) -> list[str | int]:
    return [
        usd_text(row.nanodollars),
        row.nanodollars,
        row.entries,
        row.input_tokens,
        row.cached_tokens,
        row.output_tokens,
        usd_text(row.estimated_nanodollars),
        row.unpriced,
        usd_text(row.upstream_nanodollars),
        usd_text(row.saved_nanodollars),
    ]
