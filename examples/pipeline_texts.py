"""Labelled texts of our own for `trimtab learn pipeline --kind classify`: requests to a shop, made by code.

    python examples/pipeline_texts.py > texts.jsonl

A way of asking with its greeting is a task: all texts that ask and greet so stand on one side of the cut. The same
words under another greeting do stand on the other side: an easy set, and the accuracy on it says little about requests
that people write.
"""

import json
import sys
from collections.abc import Iterator
from itertools import product
from random import Random

ASKS = {
    "delivery": (
        "where is my order {order}",
        "when will my order {order} arrive",
        "my order {order} is late, where is the parcel",
        "what is the tracking of my order {order}",
        "is my parcel with the {item} on its way",
        "the parcel of order {order} did not arrive",
    ),
    "refund": (
        "I want my money back for the {item}",
        "could you refund the {item} of my order {order}",
        "the {item} does not fit, can I return it for a refund",
        "how do I send back the {item} and get my money back",
        "please refund order {order}",
        "I would like to return the {item} of order {order}",
    ),
    "cancel": (
        "please cancel my order {order}",
        "can I still cancel the order {order}",
        "I changed my mind, cancel the {item}",
        "I ordered by mistake, please cancel order {order}",
        "can you call off my order {order}, I changed my mind",
        "cancel order {order} before it leaves",
    ),
    "stock": (
        "do you have the {item} in stock",
        "is the {item} available",
        "do you sell the {item}",
        "how many of the {item} do you have in stock",
        "is the {item} in stock again",
        "when is the {item} available again",
    ),
}
BEGINS = ("", "Hello, ", "Good morning, ", "Hi there, ", "Sorry to bother you, ", "One question: ")
ENDS = ("", " please", " Thank you")
ITEMS = (
    "Kestrel brake pads", "Heron 11-speed chain", "Osprey floor pump", "Wren bar tape", "Plover bottle cage",
    "Curlew saddle", "Merlin rear light",
)  # fmt: skip


def rows(seed: int = 7) -> Iterator[dict[str, str]]:
    """Texts with their labels; a group is one way of asking."""
    dice = Random(seed)
    for label, asks in ASKS.items():
        for ask, begin, end in product(asks, BEGINS, ENDS):
            order = f"FW-{dice.randint(20_000, 99_999)}"
            text = begin + ask.format(order=order, item=dice.choice(ITEMS)) + end
            yield {"text": text, "label": label, "group": f"{label}: {ask} / {begin}"}


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row) + "\n")
