"""The only place that constructs things: settings in, a wired house out."""

from trimtab.app.house import House, open_house
from trimtab.app.store import data_folder, load_config, open_database

__all__ = ["House", "data_folder", "load_config", "open_database", "open_house"]
