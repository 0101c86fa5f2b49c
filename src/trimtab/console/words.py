"""Amounts, moments and spans as the pages write them. Pure."""

import math
from datetime import UTC, datetime

from markupsafe import Markup, escape

from trimtab.core import NANODOLLARS_PER_USD, usd_text


def usd(nanodollars: int | None, unpriced: int = 0) -> str:
    """Money as short as it stays telling: `$1,234.50`, `$0.00423`, `$0`; with ≥ where a part is not known."""
    if nanodollars is None:
        return "–"
    mark = "≥ " if unpriced else ""
    value = nanodollars / NANODOLLARS_PER_USD
    if nanodollars == 0:
        return f"{mark}$0"
    if abs(value) >= 1:
        return f"{mark}${value:,.2f}"
    digits = min(9, 2 - math.floor(math.log10(abs(value))))
    return f"{mark}${value:.{digits}f}"


def exact(nanodollars: int) -> str:
    """Money to the nanodollar."""
    return f"${usd_text(nanodollars)}"


def span(seconds: float | None) -> str:
    """A length of time: `240 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 86_400:
        return f"{int(seconds // 3_600)} h {int(seconds % 3_600 // 60)} min"
    return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3_600)} h"


def when(moment: float | None) -> Markup:
    """A moment in UTC, as an element that says which."""
    if moment is None:
        return Markup("–")
    try:
        at = datetime.fromtimestamp(moment, UTC)
    except (OverflowError, ValueError, OSError):
        return Markup("beyond the calendar")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), at.strftime("%Y-%m-%d %H:%M:%S"))


def count(number: float | None) -> str:
    """A number with its thousands apart."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 100 else f"{number:,.2f}"


def share(part: float, whole: float) -> str:
    """A part in percent of a whole, `–` of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def named(text: str) -> Markup:
    """A name, or a word that says it is empty."""
    return escape(text) if text else Markup('<span class="faint">(none)</span>')
