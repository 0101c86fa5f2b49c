from trimtab import gateway


def test_the_exports_of_the_room_are_these():
    assert gateway.__all__ == [
        "CALL_PATHS",
        "Gateway",
        "Gone",
        "HouseDoor",
        "RunDoor",
        "TreeDoor",
        "build_gateway",
        "error_reply",
        "fault_of",
        "hints_of",
        "is_loopback",
        "is_yes",
        "limit_of",
        "read_body",
        "send_bytes",
        "status_of",
        "whole_of",
    ]
    assert all(hasattr(gateway, name) for name in gateway.__all__)
