from trimtab import scheduling


def test_the_exports_of_the_room_are_these():
    assert scheduling.__all__ == [
        "Breaker",
        "BreakerRules",
        "Event",
        "FairQueue",
        "HedgeBudget",
        "Latency",
        "admits",
        "after",
        "delay",
        "hedge_budget",
    ]
    assert all(hasattr(scheduling, name) for name in scheduling.__all__)
