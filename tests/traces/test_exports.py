"""The room's doors."""

import trimtab.traces


def test_the_room_exports_what_it_says():
    assert trimtab.traces.__all__ == [
        "CallNode", "ChatLine", "CompletionField", "CompletionLine", "CompletionReport",
        "ControllerFigures", "CostField", "CostReport", "CostSums", "EngineFigures", "Exporter",
        "Gauges", "ImportReport", "Importer", "LineMessage", "LineReader", "Metrics", "Pruned",
        "Retention", "RunRow", "RunStatus", "RunTree", "Spans", "StepNode", "asked_json", "brief_json",
        "chat_lines", "completed_at", "completion_report", "cost_report", "facts_json", "find_run",
        "list_runs", "providers_of", "prune", "read_line", "read_tree", "read_tree_with_content",
        "request_before", "standing_json", "standing_of", "tree_json", "tree_of", "write_lines",
    ]  # fmt: skip
    assert all(hasattr(trimtab.traces, name) for name in trimtab.traces.__all__)
