from trimtab import gateway


def test_the_exports_of_the_room_are_these():
    assert gateway.__all__ == [
        "CALL_PATHS",
        "Gateway",
        "HouseDoor",
        "RunDoor",
        "TreeDoor",
        "build_gateway",
        "error_reply",
    ]
    assert all(hasattr(gateway, name) for name in gateway.__all__)
