"""What a load test measured, call by call and run by run, and what it adds up to."""

import time
from collections import Counter
from typing import Literal

import msgspec

from trimtab.simulation.report import Percentiles

Ending = Literal["done", "refused", "failed", "cut off"]


class Answered(msgspec.Struct, frozen=True):
    """One try of a call as its client saw it. `status` 0: no answer came; `code` names a refusal or fault.

    `nanodollars` is None where the gateway's headers do not tell: it costs a stream only when that has ended.
    """

    status: int
    code: str
    seconds: float
    first_token_seconds: float | None = None
    retry_after: float | None = None
    nanodollars: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    answered_by: str = ""

    @property
    def ok(self) -> bool:
        """Whether a whole reply came."""
        return self.status == 200 and not self.code

    @property
    def refused(self) -> bool:
        """Whether the gateway said no: a budget, a limit, a full queue, a wrong request."""
        return 400 <= self.status < 500 or self.status == 503

    @property
    def may_wait(self) -> bool:
        """Whether it asks to come again."""
        return self.status == 429 or (self.status == 503 and self.retry_after is not None)


class LoadReport(msgspec.Struct, frozen=True):
    """A load test. Latencies are of calls answered whole and of runs done; a run's include its pauses and waits.

    `nanodollars` is what the gateway told; `calls_of_unknown_cost` are those it told nothing of. `client_busy`: the
    share of one core the client itself used. `sizes`: prompt tokens as the endpoint counted them, to those recorded.
    """

    url: str
    traces: str
    users: int
    seconds: float
    interrupted: bool
    calls: int
    calls_answered: int
    calls_per_second: float
    refusals: dict[str, int]
    faults: dict[str, int]
    calls_cut_off: int
    answered_without_model: int
    runs: dict[Ending, int]
    call_seconds: Percentiles | None
    first_token_seconds: Percentiles | None
    run_seconds: Percentiles | None
    input_tokens: int
    output_tokens: int
    sizes: float | None
    nanodollars: int
    calls_of_unknown_cost: int
    runs_left_open: int
    client_busy: float


class Tally:
    """Takes measures as they come; `report` tells what there is so far. `begun` counts the calls sent."""

    def __init__(self, url: str, traces: str, users: int) -> None:
        self._about = (url, traces, users)
        self._began, self._cpu = time.monotonic(), time.process_time()
        self.calls: list[float] = []
        self._firsts: list[float] = []
        self._runs: list[float] = []
        self.begun = self._told = 0
        self.refusals: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.endings: Counter[Ending] = Counter()
        self._tokens = Counter[str]()
        self._recorded = 0
        self._nanodollars = self._untold = self._decided = 0
        self.left_open = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def call(self, tried: Answered, recorded_input: int) -> None:
        """One try of a call."""
        self._told += 1
        if not tried.ok:
            (self.refusals if tried.refused else self.faults)[f"{tried.status} {tried.code}"] += 1
            return
        self.calls.append(tried.seconds)
        self._decided += bool(tried.answered_by)
        if tried.first_token_seconds is not None:
            self._firsts.append(tried.first_token_seconds)
        if tried.input_tokens is not None:
            self._tokens["in"] += tried.input_tokens
            self._tokens["out"] += tried.output_tokens or 0
            self._recorded += recorded_input
        if tried.nanodollars is not None:
            self._nanodollars += tried.nanodollars
        else:
            self._untold += 1

    def run(self, ending: Ending, seconds: float) -> None:
        """One run that is over."""
        self.endings[ending] += 1
        if ending == "done":
            self._runs.append(seconds)

    def priced(self, nanodollars: int, calls: int) -> None:
        """So many calls whose cost was not known cost this."""
        self._nanodollars += nanodollars
        self._untold -= calls

    @property
    def client_busy(self) -> float:
        """The share of one core this process used since it began."""
        return (time.process_time() - self._cpu) / max(1e-9, self.seconds)

    def report(self, *, interrupted: bool, seconds: float, client_busy: float) -> LoadReport:
        """What was measured in so many seconds."""
        url, traces, users = self._about
        return LoadReport(
            url,
            traces,
            users,
            seconds,
            interrupted,
            calls=self.begun,
            calls_answered=len(self.calls),
            calls_per_second=len(self.calls) / seconds if seconds else 0.0,
            refusals=dict(self.refusals.most_common()),
            faults=dict(self.faults.most_common()),
            calls_cut_off=self.begun - self._told,
            answered_without_model=self._decided,
            runs=dict(self.endings),
            call_seconds=Percentiles.of(self.calls),
            first_token_seconds=Percentiles.of(self._firsts),
            run_seconds=Percentiles.of(self._runs),
            input_tokens=self._tokens["in"],
            output_tokens=self._tokens["out"],
            sizes=self._tokens["in"] / self._recorded if self._recorded else None,
            nanodollars=self._nanodollars,
            calls_of_unknown_cost=self._untold,
            runs_left_open=self.left_open,
            client_busy=client_busy,
        )
