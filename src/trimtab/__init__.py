"""Trimtab: the layer between agents and models. Rooms and their floors are described in docs/house.md."""

__version__ = "0.1.0"
