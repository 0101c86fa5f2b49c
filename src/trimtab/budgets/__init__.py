"""Budgets and rate limits as rules: which meters a call falls under, in which window."""

from trimtab.budgets.book import BudgetBook, is_of_keys, key_meter, lasts_a_run, quoted
from trimtab.budgets.keys import KEY_WINDOWS, KeyLimit, KeyWindow, key_limit, stored_limit
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
