"""What a call asks of the scheduler."""

import msgspec

from trimtab.config import StepSettings
from trimtab.core import Call

_ANY_STEP = StepSettings()


class Ask(msgspec.Struct, frozen=True):
    """A call that wants a place. `among`: our endpoints that may serve it, best first; where one of them is up, also
    those that are down. `step`: what it may ask for; `most_queued`: calls of its tenant that may wait here; `heard`:
    whether its first token will be told. `external`: others' APIs that may serve it too, for which its run may spend
    `spill_nanodollars`."""

    call: Call
    model: str
    body: bytes
    among: tuple[str, ...]
    weight: float = 1.0
    most_queued: int = 256
    step: StepSettings = _ANY_STEP
    external: tuple[str, ...] = ()
    spill_nanodollars: int = 0
    heard: bool = True
