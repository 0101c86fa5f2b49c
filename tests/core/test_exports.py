"""The room's doors."""

from trimtab import core


def test_the_exports_of_the_room_are_these():
    assert core.__all__ == [
        "LOT", "NANODOLLARS_PER_USD", "AttemptRecord", "Attribution", "Call", "CallRecord", "CallStatus", "Capability",
        "Certainty", "Charge", "Clock", "ControllerDecision", "ControllerKind", "Decision", "Entry", "EntryKind",
        "Hold", "IdSource", "Lot", "Meter", "Offer",
        "OutcomeRecord", "Plan", "PlannedAttempt", "Price", "PriceBasis", "Rates", "Release", "Role", "RunSource",
        "Surface",
        "SystemClock", "Unit", "Usage", "Verdict", "Verifier", "VerifierKind", "in_future", "in_past", "lot_of",
        "nanodollars_of", "shown_time", "usd_text",
    ]  # fmt: skip
    assert all(hasattr(core, name) for name in core.__all__)
