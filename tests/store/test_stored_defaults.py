"""What the JSON of a row leaves out is read as the defaults it was left out for: they may not change."""

import msgspec

from trimtab.core import (
    AttemptRecord,
    Attribution,
    Call,
    Decision,
    Offer,
    Plan,
    PlannedAttempt,
    Price,
    Rates,
    Usage,
    Verifier,
)

BARE = {
    Attribution: ({"tenant": "t", "run": "r"}, ["t", "r", "", "", "", "", "", "", "", "single"]),
    Call: (
        {
            "id": "c", "at": 1.0, "surface": "chat", "model": "m", "who": {"tenant": "t", "run": "r"},
            "input_tokens": 3, "max_output_tokens": 4,
        },
        ["c", 1.0, "chat", "m", Attribution("t", "r"), 3, 4, False, 1, (), frozenset(), True, 0, None, ""],
    ),
    Rates: ({}, [0, 0, None, None, None, None, 0]),
    Price: ({}, [(), 0, 0, 0, "own"]),
    Offer: (
        {"endpoint": "e", "model": "m", "price": {}, "predicted_nanodollars": 1, "worst_nanodollars": 2},
        ["e", "m", Price(), 1, 2, 0.5, 16, 0, frozenset(), 1.0, 0.5, 5.0, 0, 0, 0, True],
    ),
    Verifier: ({"kind": "logprob"}, ["logprob", ""]),
    PlannedAttempt: ({"endpoint": "e", "model": "m"}, ["e", "m", (), ""]),
    Plan: ({"attempts": []}, [(), False]),
    Decision: (
        {
            "policy": "p",
            "call": {
                "id": "c", "at": 1.0, "surface": "chat", "model": "m", "who": {"tenant": "t", "run": "r"},
                "input_tokens": 3, "max_output_tokens": 4,
            },
            "offers": [],
            "unit": 0.25,
            "plan": {"attempts": []},
        },
        ["p", Call("c", 1.0, "chat", "m", Attribution("t", "r"), 3, 4), (), 0.25, Plan(()), "", ()],
    ),
    Usage: ({}, [0, 0, 0, 0, 0, 0, 0]),
    AttemptRecord: (
        {
            "id": "a", "endpoint": "e", "model": "m", "at": 1.0, "seconds": 2.0, "first_token_seconds": None,
            "outcome": "failed",
        },
        ["a", "e", "m", 1.0, 2.0, None, "failed", None, "", 0, Usage()],
    ),
}  # fmt: skip


def test_what_is_left_out_is_read_as_it_was_meant():
    for kind, (stored, meant) in BARE.items():
        read = msgspec.json.decode(msgspec.json.encode(stored), type=kind)
        assert list(msgspec.structs.astuple(read)) == meant
        assert msgspec.json.decode(msgspec.json.encode(read)) == stored
