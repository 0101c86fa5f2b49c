"""Recall: answers given before. Exact now; by meaning in a later room."""

from trimtab.recall.exact import ExactRecall

__all__ = ["ExactRecall"]
