"""Engines behind endpoints: what they report, what they are told to load. Calls never wait for a report."""

from trimtab.pool.engines.door import EngineDoor
from trimtab.pool.engines.engines import Engines
from trimtab.pool.engines.registry import READERS
from trimtab.pool.engines.report import EngineReport
from trimtab.pool.engines.residence import Residence
from trimtab.pool.engines.scraper import Scraper
from trimtab.pool.engines.shelf import Item, Shelf

__all__ = ["READERS", "EngineDoor", "EngineReport", "Engines", "Item", "Residence", "Scraper", "Shelf"]
