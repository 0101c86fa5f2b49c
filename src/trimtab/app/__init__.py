"""The only place that constructs things: settings in, a wired house out."""

from trimtab.app.house import House, open_house
from trimtab.app.store import load_config, open_database

__all__ = ["House", "load_config", "open_database", "open_house"]
