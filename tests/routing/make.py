"""Calls and offers for the tests of this room, in code and as hypothesis strategies."""

from hypothesis import strategies as st

from trimtab.core import Attribution, Call, Offer, Price, Rates

PRICED = Price((Rates(1, 1),))
FREE_OF_PRICE = Price()
CAPABILITIES = ("tools", "json_schema", "vision", "logprobs")


def call(model="m", needs=(), input_tokens=100, max_output_tokens=100, **who):
    return Call(
        id="c1",
        at=0.0,
        surface="chat",
        model=model,
        who=Attribution(**({"tenant": "acme", "run": "r1"} | who)),
        input_tokens=input_tokens,
        max_output_tokens=max_output_tokens,
        needs=frozenset(needs),
    )


def offer(endpoint, model="m", nanodollars=100, price=PRICED, capabilities=(), **terms):
    return Offer(
        endpoint, model, price, nanodollars, nanodollars * 2, capabilities=frozenset(capabilities), **terms
    )


def attempts(plan):
    return [(attempt.endpoint, attempt.model) for attempt in plan.attempts]


def endpoints(plan):
    return [attempt.endpoint for attempt in plan.attempts]


MODELS = ("m", "n", "o")

OFFERS = st.lists(
    st.builds(
        offer,
        endpoint=st.sampled_from("abcdefgh"),
        model=st.sampled_from(MODELS),
        nanodollars=st.integers(0, 5),
        price=st.sampled_from((PRICED, FREE_OF_PRICE)),
        capabilities=st.sets(st.sampled_from(CAPABILITIES)),
        quality=st.sampled_from((0.3, 0.5, 0.9)),
        precision_bits=st.sampled_from((4, 8, 16)),
        context_tokens=st.sampled_from((0, 100, 1000)),
        latency_seconds=st.sampled_from((0.5, 1.0, 2.0)),
        in_flight=st.integers(0, 4),
        queued=st.integers(0, 4),
        concurrency=st.integers(0, 4),
        available=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda each: (each.endpoint, each.model),
).map(tuple)

CALLS = st.builds(
    call,
    model=st.sampled_from((*MODELS, "alias")),
    needs=st.sets(st.sampled_from(CAPABILITIES), max_size=2),
    input_tokens=st.integers(0, 600),
    max_output_tokens=st.integers(0, 600),
)

UNITS = st.floats(0, 1, exclude_max=True)
