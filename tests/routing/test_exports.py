from trimtab import routing


def test_the_exports_of_the_room_are_these():
    assert routing.__all__ == [
        "POLICY_NAMES",
        "UNLIMITED_USD",
        "VARIABLES",
        "CallFacts",
        "DeclaredTool",
        "Fault",
        "Functions",
        "Match",
        "Policy",
        "Python",
        "Rule",
        "RuleBook",
        "Schemas",
        "Verifiers",
        "VerifyContext",
        "build_policy",
        "can_serve",
        "eligible",
        "read_context",
        "replay",
        "same",
        "sticky_unit",
    ]
    assert all(hasattr(routing, name) for name in routing.__all__)
