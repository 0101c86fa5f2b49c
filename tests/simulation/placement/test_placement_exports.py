"""What the two rooms give to others."""

from trimtab.simulation import loading, placement


def test_the_exports_are_pinned():
    assert placement.__all__ == [
        "KINDS",
        "Adapter",
        "GpuFile",
        "GpuGroup",
        "GpuKind",
        "Greedy",
        "Lack",
        "Line",
        "Model",
        "ModelFile",
        "Order",
        "Placement",
        "Pool",
        "Shortage",
        "plan",
        "read_order",
    ]
    assert loading.__all__ == [
        "Answered",
        "Load",
        "LoadOrder",
        "LoadReport",
        "PlayedRun",
        "PlayedStep",
        "Tally",
        "read_played",
    ]
