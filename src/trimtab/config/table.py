"""What every table of trimtab.toml is made of: the strict base class and the bounded kinds of values.

Bounds keep what is read within what the house can count: money fits 64 bits as nanodollars, no deadline is
longer than a day. The settings modules import this; nothing else does.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(gt=0)]
Natural = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Factor = Annotated[float, Meta(gt=0, le=1000)]
Usd = Annotated[float, Meta(ge=0, le=1_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
ContentMode = Literal["store", "redact", "drop"]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""
