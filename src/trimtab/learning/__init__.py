"""Training and evaluation: from recorded runs to controllers."""

from trimtab.learning.comparison import POLICIES, PolicyKind, Terms, compare
from trimtab.learning.outcome_sets import SETS, outcomes_of_lines, read_outcomes, read_set
from trimtab.learning.recorded import Attempted, RecordedSet, TaskFacts, assemble
from trimtab.learning.report_files import report_json, write_report

__all__ = [
    "POLICIES",
    "SETS",
    "Attempted",
    "PolicyKind",
    "RecordedSet",
    "TaskFacts",
    "Terms",
    "assemble",
    "compare",
    "outcomes_of_lines",
    "read_outcomes",
    "read_set",
    "report_json",
    "write_report",
]
