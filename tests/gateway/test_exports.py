from trimtab import gateway


def test_the_exports_of_the_room_are_these():
    assert gateway.__all__ == ["Gateway", "HouseDoor", "RunDoor", "build_gateway"]
    assert all(hasattr(gateway, name) for name in gateway.__all__)
