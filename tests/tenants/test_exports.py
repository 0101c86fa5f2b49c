from trimtab import tenants


def test_the_exports_of_the_room_are_these():
    assert tenants.__all__ == [
        "KEY_PREFIX",
        "LOCAL",
        "KeyFacts",
        "Keyring",
        "create_key",
        "digest_of",
        "limit_key",
    ]
    assert all(hasattr(tenants, name) for name in tenants.__all__)
