"""Budgets and rate limits as rules: which meters a call falls under, in which window."""

from trimtab.budgets.book import BudgetBook, KeyLimit, KeyWindow, key_limit, key_meter, quoted
from trimtab.budgets.windows import Window, WindowName, window_at

__all__ = [
    "BudgetBook",
    "KeyLimit",
    "KeyWindow",
    "Window",
    "WindowName",
    "key_limit",
    "key_meter",
    "quoted",
    "window_at",
]
