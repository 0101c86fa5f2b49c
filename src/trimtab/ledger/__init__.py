"""Money: holds before attempts, entries after them, limits shared between processes."""

from trimtab.ledger.keeper import Keeper
from trimtab.ledger.ledger import Ledger
from trimtab.ledger.slices import Slices
from trimtab.ledger.teller import Teller

__all__ = ["Keeper", "Ledger", "Slices", "Teller"]
