from trimtab import recall


def test_the_exports_of_the_room_are_these():
    assert recall.__all__ == ["ExactRecall"]
    assert all(hasattr(recall, name) for name in recall.__all__)
