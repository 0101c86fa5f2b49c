"""Small pools and demands for tests of scheduling."""

from trimtab.scheduling import Demand, RunStanding, Speed, Standing, Terms

SPEED = Speed(base_seconds=0.01, prefill_seconds=1e-4, call_seconds=1e-5, context_seconds=1e-8)


def standing(index=0, name=None, busy=0, **terms):
    """An endpoint with `busy` calls running."""
    made = Standing(index, Terms(name or f"e{index}", SPEED, **terms))
    for _ in range(busy):
        made.sent(100, 1_000, 0.01)
        made.started(100, 1_000, 0.01)
    return made


def demand(turn=0, run=None, **fields):
    """A call of a thousand tokens; what the test is about is named."""
    told = {
        "step": "plan",
        "arrived": 0.0,
        "input_tokens": 1_000,
        "output_tokens": 100.0,
        "remaining_seconds": 5.0,
    }
    return Demand(run=run or RunStanding(f"r{turn}", "support", 0.0), turn=turn, **{**told, **fields})
