from trimtab import pool


def test_the_exports_of_the_room_are_these():
    assert pool.__all__ == [
        "Answer",
        "Ask",
        "Endpoint",
        "Http",
        "MachineCost",
        "OfferTerms",
        "Patience",
        "Pool",
        "Replicas",
        "Scheduler",
        "Seat",
    ]
    assert all(hasattr(pool, name) for name in pool.__all__)
