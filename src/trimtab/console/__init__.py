"""The console: pages that show runs, what they cost and why, and let people act. In a gateway's process or alone."""

from trimtab.console.premises import Acts, Premises, RunPoint, Seats
from trimtab.console.reader import Reader
from trimtab.console.routes import console_routes
from trimtab.console.sheets import ROOT, Sheets

__all__ = ["ROOT", "Acts", "Premises", "Reader", "RunPoint", "Seats", "Sheets", "console_routes"]
