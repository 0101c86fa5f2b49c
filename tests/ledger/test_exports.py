from trimtab import ledger


def test_the_exports_of_the_room_are_these():
    assert ledger.__all__ == ["Keeper", "Ledger", "Slices", "Teller"]
    assert all(hasattr(ledger, name) for name in ledger.__all__)
