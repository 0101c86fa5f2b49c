from trimtab import budgets


def test_the_exports_of_the_room_are_these():
    assert budgets.__all__ == [
        "BudgetBook",
        "KeyLimit",
        "KeyWindow",
        "Window",
        "WindowName",
        "key_limit",
        "key_meter",
        "quoted",
        "window_at",
    ]
    assert all(hasattr(budgets, name) for name in budgets.__all__)
