"""Tables and trees whose cells are never cut: an amount with a digit missing is worse than a long line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.tree import Tree

_WIDEST = 10_000


def print_wide(shown: "Table | Tree") -> None:
    """Print at its own width; a narrower terminal folds the lines."""
    from rich.console import Console

    Console(width=_WIDEST).print(shown, highlight=False)


def shown_usd(nanodollars: int, unpriced: int = 0) -> str:
    """Exact USD; with a mark where a part of the cost is not known."""
    from trimtab.core import usd_text

    return f"{'≥ ' if unpriced else ''}${usd_text(nanodollars)}"


def plain(text: str) -> str:
    """What a client wrote, fit for a terminal: no markup, no control characters but line breaks and tabs."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text))
