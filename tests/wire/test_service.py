"""Terms of service other than the standard ones."""

import json

import pytest

from trimtab.wire import special_service

PRIORITY = {"service_tier": "priority"}


@pytest.mark.parametrize(
    ("asked", "told", "special"),
    [
        ({}, {}, ()),
        ({"service_tier": "auto"}, {}, ()),
        (PRIORITY, {}, ("priority",)),
        (PRIORITY, {"service_tier": "default"}, ()),
        ({"service_tier": "auto"}, PRIORITY, ("priority",)),
        ({"speed": "fast", "inference_geo": "us"}, {"inference_geo": "global"}, ("fast",)),
        ({"service_tier": None, "speed": 7}, {}, ()),
        ({"messages": [{"role": "user", "content": '"speed": "fast"'}]}, {}, ()),
    ],
)
def test_what_was_served_counts_then_what_was_asked(asked, told, special):
    assert special_service(json.dumps(asked).encode(), tuple(told.items())) == special


def test_a_body_that_is_no_json_asks_for_nothing():
    assert special_service(b'{"speed": ', ()) == ()
