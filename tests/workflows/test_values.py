"""Values of runs as JSON: whatever a graph has comes out, numbers to the last digit."""

import json

import msgspec
import pytest

from trimtab.core.errors import BadRequest
from trimtab.workflows import facts_text, failure_of, json_of


class Model:
    def model_dump(self):
        return {"n": 2**80, ("a", 1): "key"}


@pytest.mark.parametrize("number", [2**63, 2**64, 2**70, -(2**63) - 1, 10**400])
def test_whole_numbers_of_any_size_are_exact(number):
    assert json.loads(json_of({"n": [number], "m": {"n": number}})) == {"n": [number], "m": {"n": number}}


def test_a_number_too_long_for_words_is_told_as_hexadecimal_text():
    number = 10**5_000
    assert int(msgspec.json.decode(json_of([number]))[0], 16) == number


def test_a_models_fields_are_told_with_keys_that_are_texts():
    assert json.loads(json_of(Model())) == {"n": 2**80, "('a', 1)": "key"}


def test_a_failure_is_its_kind_and_what_it_says():
    assert failure_of("ValueError: it: is broken") == {"error": "ValueError", "message": "it: is broken"}
    assert failure_of("late") == {"error": "late", "message": "late"}


def test_metadata_with_a_nul_character_is_refused():
    with pytest.raises(BadRequest, match="NUL"):
        facts_text({"a": ["b\0"]})
