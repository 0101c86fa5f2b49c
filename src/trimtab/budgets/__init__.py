"""Budgets and rate limits as rules: which meters a call falls under, in which window."""

from trimtab.budgets.book import BudgetBook, quoted
from trimtab.budgets.windows import Window, WindowName, window_at

__all__ = ["BudgetBook", "Window", "WindowName", "quoted", "window_at"]
