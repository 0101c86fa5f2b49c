from trimtab import guards


def test_the_exports_of_the_room_are_these():
    assert guards.__all__ == ["redact"]
    assert all(hasattr(guards, name) for name in guards.__all__)
