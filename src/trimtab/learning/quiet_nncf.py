"""NNCF, imported without what its import does to everybody's logging: its own class for all loggers to come, and
chatter at every step. `learning/compress.py` imports it from here."""

import logging

_own_class = logging.getLoggerClass()
try:
    import nncf
finally:
    logging.setLoggerClass(_own_class)
logging.getLogger("nncf").setLevel(logging.ERROR)

__all__ = ["nncf"]
