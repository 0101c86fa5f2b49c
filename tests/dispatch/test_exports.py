from trimtab import dispatch


def test_the_exports_of_the_room_are_these():
    assert dispatch.__all__ == [
        "NO_HINTS",
        "Desk",
        "Dispatch",
        "Hints",
        "Inbound",
        "Journey",
        "PlainReply",
        "Recording",
        "Reply",
        "Rooms",
        "Router",
        "StreamReply",
        "ToolPrices",
        "bounded",
    ]
    assert all(hasattr(dispatch, name) for name in dispatch.__all__)
