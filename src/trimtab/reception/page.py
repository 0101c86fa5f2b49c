"""How lists are asked for page by page, what is shown of each thing in them, and the words that name things."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import msgspec

Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
# What PostgreSQL cannot keep in a text is refused at the door.
Word = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


def chosen(shown: Mapping[str, Any], select: Collection[str] | None) -> Mapping[str, Any]:
    """Only the fields that were asked for; all where none were."""
    return {name: shown[name] for name in select if name in shown} if select else shown
