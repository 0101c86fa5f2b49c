"""Small models that decide, on CPU in milliseconds, and are able to say "not me".

Importing this room imports no numpy: what needs it is looked up when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from trimtab.controllers.agreement import Agreement, Judged
from trimtab.controllers.answer import Answer
from trimtab.controllers.card import card_markdown
from trimtab.controllers.conversation import Conversation, Json, Tool, ToolCall, Turn, read_conversation
from trimtab.controllers.drift import ABSTAINED, BINS, Drift, Profile, bin_text, drift_of, profile_of
from trimtab.controllers.heed import heeded
from trimtab.controllers.host import Host
from trimtab.controllers.loaders import LOADERS, Bench, Decide, Loader
from trimtab.controllers.manifest import (
    Manifest,
    PackedFile,
    Report,
    name_of,
    new_version,
    silence,
    tool_digest,
    tool_digests,
)
from trimtab.controllers.question import (
    OWN_CALL,
    Decided,
    Question,
    Terms,
    inputs_digest,
    last_said,
    verify_text,
)
from trimtab.controllers.registry import Broken, Package, Registry, place_of, read_manifest
from trimtab.controllers.roster import Crew, Desk, Roster, open_host
from trimtab.controllers.shared import publish, shared_key
from trimtab.controllers.tally import WHOLE, Tally

if TYPE_CHECKING:
    from trimtab.controllers.action import ACTION_NAMES, action_row
    from trimtab.controllers.candidates import Candidate, Ingredient, Pantry, Recipe, find_candidates
    from trimtab.controllers.cues import CueTable, cues_of
    from trimtab.controllers.features import CUES, NAMES, Catalogue, feature_rows, lead_columns
    from trimtab.controllers.heads import Head, load_heads, save_heads
    from trimtab.controllers.linear import LinearHead, LinearModel, LinearTerms
    from trimtab.controllers.opinion import Calibration, best_inside, chances, confidence
    from trimtab.controllers.scene import Scene
    from trimtab.controllers.step import StepController
    from trimtab.controllers.step_model import StepFacts, StepModel, Thresholds, log_odds, task_digest
    from trimtab.controllers.text import Level, TextController, TextDescription, TextHead, TextKind
    from trimtab.controllers.trees import Trees
    from trimtab.controllers.values import Value, values_of_turn

_LATER = {
    "action": (
        "ACTION_NAMES",
        "action_row",
    ),
    "candidates": (
        "Candidate",
        "Ingredient",
        "Pantry",
        "Recipe",
        "find_candidates",
    ),
    "cues": (
        "CueTable",
        "cues_of",
    ),
    "features": (
        "CUES",
        "NAMES",
        "Catalogue",
        "feature_rows",
        "lead_columns",
    ),
    "heads": (
        "Head",
        "load_heads",
        "log_odds",
        "save_heads",
    ),
    "linear": (
        "LinearHead",
        "LinearModel",
        "LinearTerms",
    ),
    "opinion": (
        "Calibration",
        "best_inside",
        "chances",
        "confidence",
    ),
    "scene": ("Scene",),
    "step": ("StepController",),
    "step_model": ("StepFacts", "StepModel", "Thresholds", "log_odds", "task_digest"),
    "text": (
        "Level",
        "TextController",
        "TextDescription",
        "TextHead",
        "TextKind",
    ),
    "trees": ("Trees",),
    "values": (
        "Value",
        "values_of_turn",
    ),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> object:
    """What needs numpy, when it is asked for."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


__all__ = [
    "ABSTAINED",
    "ACTION_NAMES",
    "BINS",
    "CUES",
    "LOADERS",
    "NAMES",
    "OWN_CALL",
    "WHOLE",
    "Agreement",
    "Answer",
    "Bench",
    "Broken",
    "Calibration",
    "Candidate",
    "Catalogue",
    "Conversation",
    "Crew",
    "CueTable",
    "Decide",
    "Decided",
    "Desk",
    "Drift",
    "Head",
    "Host",
    "Ingredient",
    "Json",
    "Judged",
    "Level",
    "LinearHead",
    "LinearModel",
    "LinearTerms",
    "Loader",
    "Manifest",
    "Package",
    "PackedFile",
    "Pantry",
    "Profile",
    "Question",
    "Recipe",
    "Registry",
    "Report",
    "Roster",
    "Scene",
    "StepController",
    "StepFacts",
    "StepModel",
    "Tally",
    "Terms",
    "TextController",
    "TextDescription",
    "TextHead",
    "TextKind",
    "Thresholds",
    "Tool",
    "ToolCall",
    "Trees",
    "Turn",
    "Value",
    "action_row",
    "best_inside",
    "bin_text",
    "card_markdown",
    "chances",
    "confidence",
    "cues_of",
    "drift_of",
    "feature_rows",
    "find_candidates",
    "heeded",
    "inputs_digest",
    "last_said",
    "lead_columns",
    "load_heads",
    "log_odds",
    "name_of",
    "new_version",
    "open_host",
    "place_of",
    "profile_of",
    "publish",
    "read_conversation",
    "read_manifest",
    "save_heads",
    "shared_key",
    "silence",
    "task_digest",
    "tool_digest",
    "tool_digests",
    "values_of_turn",
    "verify_text",
]
