"""Budgets and rate limits as rules: which meters a call falls under, in which window."""

from trimtab.budgets.book import (
    KEY_WINDOWS,
    BudgetBook,
    KeyLimit,
    KeyWindow,
    is_of_keys,
    key_limit,
    key_meter,
    lasts_a_run,
    quoted,
    stored_limit,
)
from trimtab.budgets.windows import Window, WindowName, window_at

__all__ = [
    "KEY_WINDOWS",
    "BudgetBook",
    "KeyLimit",
    "KeyWindow",
    "Window",
    "WindowName",
    "is_of_keys",
    "key_limit",
    "key_meter",
    "lasts_a_run",
    "quoted",
    "stored_limit",
    "window_at",
]
