"""Training and evaluation, from recorded runs to controllers. What needs an engine is looked up when asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from trimtab.learning.card import DataCard, data_card_markdown
from trimtab.learning.comparison import POLICIES, PolicyKind, Terms, compare
from trimtab.learning.course import STAGES, Course, Learned, Source, Stage
from trimtab.learning.course_terms import CourseTerms, TextMode, TextTerms
from trimtab.learning.episodes import Episode, read_episodes
from trimtab.learning.examples import Picking
from trimtab.learning.outcome_sets import SETS, outcomes_of_lines, read_outcomes, read_set
from trimtab.learning.packaging import kept_precise
from trimtab.learning.recorded import Attempted, RecordedSet, TaskFacts, assemble
from trimtab.learning.report_files import report_json, write_report
from trimtab.learning.step_exam import examine_step
from trimtab.learning.variant import SMALLER, Variant, variant_table
from trimtab.learning.workbench import learning_folder

if TYPE_CHECKING:
    from trimtab.learning.text_judge import examine_text, read_texts

_LATER = {"examine_text": "text_judge", "read_texts": "text_judge"}


def __getattr__(name: str) -> object:
    """What needs an engine, when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "POLICIES",
    "SETS",
    "SMALLER",
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
    "Variant",
    "assemble",
    "compare",
    "data_card_markdown",
    "examine_step",
    "examine_text",
    "kept_precise",
    "learning_folder",
    "outcomes_of_lines",
    "read_episodes",
    "read_outcomes",
    "read_set",
    "read_texts",
    "report_json",
    "variant_table",
    "write_report",
]
