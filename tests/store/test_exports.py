from trimtab import store


def test_the_exports_of_the_room_are_these():
    assert store.__all__ == sorted(store.__all__, key=lambda name: (name[0].islower(), name))
    assert {"Database", "Fenced", "Journal", "Writer", "bury", "bury_silent", "migrate"} <= set(store.__all__)
    assert all(hasattr(store, name) for name in store.__all__)
