from trimtab import budgets


def test_the_exports_of_the_room_are_these():
    assert budgets.__all__ == [
        "KEY_WINDOWS",
        "BudgetBook",
        "KeyLimit",
        "KeyWindow",
        "Window",
        "WindowName",
        "is_of_keys",
        "key_limit",
        "key_meter",
        "lasts_a_run",
        "quoted",
        "stored_limit",
        "window_at",
    ]
    assert all(hasattr(budgets, name) for name in budgets.__all__)
