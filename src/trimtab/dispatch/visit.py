"""One call's passage through the hallway: what each stage learns and the later ones need."""

from trimtab.config import ContentMode
from trimtab.core import AttemptRecord, Call, Charge, ControllerDecision, Decision, Meter, Offer
from trimtab.dispatch.asking import Asking
from trimtab.dispatch.form import Asked
from trimtab.dispatch.inbound import Inbound
from trimtab.tenants import KeyFacts
from trimtab.wire import RequestFacts


class Visit:
    """Mutable, short-lived, owned by one call. `started` is monotonic seconds."""

    __slots__ = (
        "asked",
        "asking",
        "attempts",
        "call",
        "charges",
        "content",
        "controllers",
        "decision",
        "digest",
        "enforce_maximum",
        "facts",
        "first_token_seconds",
        "inbound",
        "is_asking_read",
        "key",
        "max_queued",
        "meters",
        "nanodollars",
        "offers",
        "placed",
        "recall_seconds",
        "started",
        "weight",
    )

    def __init__(
        self, inbound: Inbound, facts: RequestFacts, key: KeyFacts, call: Call, asked: Asked, started: float
    ) -> None:
        self.inbound, self.facts, self.key, self.call, self.asked = inbound, facts, key, call, asked
        self.started = started
        self.attempts: list[AttemptRecord] = []
        self.meters: tuple[Meter, ...] = ()
        self.charges: tuple[Charge, ...] = ()
        self.offers: dict[tuple[str, str], Offer] = {}
        self.placed: set[tuple[str, str]] = set()
        self.decision: Decision | None = None
        self.nanodollars = 0
        self.first_token_seconds: float | None = None
        self.recall_seconds = 0
        self.digest = ""
        self.weight = 1.0
        self.max_queued = 0
        self.content: ContentMode = "store"
        self.enforce_maximum = False
        self.asking: Asking | None = None
        self.is_asking_read = False
        self.controllers: list[ControllerDecision] = []

    @property
    def keeps_content(self) -> bool:
        """Whether anything of what was said may be kept."""
        return self.content != "drop"

    def left_seconds(self, now: float) -> float:
        """Seconds until the call's own deadline, from the clock's epoch `now`; infinity without one."""
        return float("inf") if self.call.deadline is None else self.call.deadline - now
