from trimtab import dispatch


def test_the_exports_of_the_room_are_these():
    assert dispatch.__all__ == [
        "NO_HINTS",
        "Decider",
        "Desk",
        "Dispatch",
        "Hints",
        "Inbound",
        "Journey",
        "Onlooker",
        "Placing",
        "PlainReply",
        "Recording",
        "Reply",
        "Rooms",
        "Router",
        "StreamReply",
        "ToolPrices",
        "bounded",
        "question_of",
        "read_asking",
    ]
    assert all(hasattr(dispatch, name) for name in dispatch.__all__)
