"""Doors to hosted workflows: the LangGraph SDKs' API, the inbox, runs as trees. Imported only where
a graph is hosted."""

from trimtab.gateway.hosted.desk import Asked, Desk, done, said

__all__ = ["Asked", "Desk", "done", "said"]
