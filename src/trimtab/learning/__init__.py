"""Training and evaluation: from recorded runs to controllers."""

from trimtab.learning.card import DataCard, data_card_markdown
from trimtab.learning.comparison import POLICIES, PolicyKind, Terms, compare
from trimtab.learning.course import STAGES, Course, Learned, Source, Stage
from trimtab.learning.course_terms import CourseTerms, TextMode, TextTerms
from trimtab.learning.episodes import Episode, read_episodes
from trimtab.learning.examples import Picking
from trimtab.learning.outcome_sets import SETS, outcomes_of_lines, read_outcomes, read_set
from trimtab.learning.recorded import Attempted, RecordedSet, TaskFacts, assemble
from trimtab.learning.report_files import report_json, write_report
from trimtab.learning.step_exam import examine_step

__all__ = [
    "POLICIES",
    "SETS",
    "STAGES",
    "Attempted",
    "Course",
    "CourseTerms",
    "DataCard",
    "Episode",
    "Learned",
    "Picking",
    "PolicyKind",
    "RecordedSet",
    "Source",
    "Stage",
    "TaskFacts",
    "Terms",
    "TextMode",
    "TextTerms",
    "assemble",
    "compare",
    "data_card_markdown",
    "examine_step",
    "outcomes_of_lines",
    "read_episodes",
    "read_outcomes",
    "read_set",
    "report_json",
    "write_report",
]
