from trimtab import workflows


def test_the_exports_of_the_room_are_these():
    assert workflows.__all__ == [
        "HOST",
        "Batch",
        "CallDoor",
        "Engine",
        "Host",
        "HostedGraph",
        "Inbox",
        "LostRun",
        "Order",
        "RunSaver",
        "idempotency_key",
        "in_process",
        "load_graph",
    ]
    assert all(hasattr(workflows, name) for name in workflows.__all__)
