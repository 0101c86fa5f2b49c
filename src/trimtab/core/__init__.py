"""The vocabulary of the house: frozen values, money, time and errors. Imports no other room."""

from trimtab.core.call import Attribution, Call, Capability, Role, RunSource, Surface
from trimtab.core.clock import Clock, SystemClock
from trimtab.core.decision import ControllerDecision, ControllerKind, Decision, Verdict
from trimtab.core.ids import IdSource
from trimtab.core.ledger import Certainty, Charge, Entry, EntryKind, Hold, Meter, Release, Unit
from trimtab.core.moments import in_future, in_past, shown_time
from trimtab.core.money import NANODOLLARS_PER_USD, Price, PriceBasis, Rates, nanodollars_of, usd_text
from trimtab.core.offer import LOT, Lot, Offer, Plan, PlannedAttempt, Verifier, VerifierKind, lot_of
from trimtab.core.trace import AttemptRecord, CallRecord, CallStatus, OutcomeRecord
from trimtab.core.usage import Usage

__all__ = [
    "LOT",
    "NANODOLLARS_PER_USD",
    "AttemptRecord",
    "Attribution",
    "Call",
    "CallRecord",
    "CallStatus",
    "Capability",
    "Certainty",
    "Charge",
    "Clock",
    "ControllerDecision",
    "ControllerKind",
    "Decision",
    "Entry",
    "EntryKind",
    "Hold",
    "IdSource",
    "Lot",
    "Meter",
    "Offer",
    "OutcomeRecord",
    "Plan",
    "PlannedAttempt",
    "Price",
    "PriceBasis",
    "Rates",
    "Release",
    "Role",
    "RunSource",
    "Surface",
    "SystemClock",
    "Unit",
    "Usage",
    "Verdict",
    "Verifier",
    "VerifierKind",
    "in_future",
    "in_past",
    "lot_of",
    "nanodollars_of",
    "shown_time",
    "usd_text",
]
