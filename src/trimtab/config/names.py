"""Whether a model that genai-prices found for a name is the one that is named, or one whose name begins alike.

Its rules match by prefix, so that `claude-opus-4-6b` would silently get the price of `claude-opus-4-6`.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

# What follows a name in those of its own snapshots: a date, `latest`, a preview, a revision.
_SNAPSHOT = re.compile(
    r"(?:[-@:._](?:latest|default|preview|exp|experimental|beta|stable|v\d{1,3}(?:[.:]\d+)*|\d{3}"
    r"|\d{4}|\d{6}|\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}(?:-\d{4})?))*",
    re.IGNORECASE,
)


def is_named(found: "ModelInfo", name: str) -> bool:
    """Whether `name` is `found`'s own, one of its other names, or a snapshot of it."""
    name = name.lower()
    return any(
        name.startswith(known) and _SNAPSHOT.fullmatch(name, len(known))
        for known in {found.id.lower(), *_names(found.match)}
    )


def _names(clause: object) -> list[str]:
    """Every name that a rule spells out: what it equals, and what it starts with."""
    for kind in ("equals", "starts_with"):
        named = getattr(clause, kind, None)
        if isinstance(named, str):
            return [named.lower()]
    inner = getattr(clause, "or_", None) or getattr(clause, "and_", None) or []
    return [name for each in inner for name in _names(each)]
