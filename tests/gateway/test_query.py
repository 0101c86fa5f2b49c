"""What query strings say is what they may say, or is refused by name."""

import pytest
from starlette.datastructures import QueryParams

from trimtab.core.errors import BadRequest
from trimtab.gateway import is_yes, limit_of, whole_of


def test_a_whole_number_is_what_stands_there_or_the_default():
    assert whole_of(QueryParams("n=007"), "n", 1) == 7
    assert whole_of(QueryParams(""), "n", 1) == 1
    assert limit_of(QueryParams("limit=10"), 50, 10) == 10


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "٣", "11", "9" * 5_000, " 1"])
def test_other_texts_are_no_whole_numbers(text):
    with pytest.raises(BadRequest, match="n is a whole number from 0 to 10") as refused:
        whole_of(QueryParams({"n": text}), "n", 1, most=10)
    assert refused.value.param == "n"


@pytest.mark.parametrize(("text", "told"), [("true", True), ("True", True), ("1", True), ("yes", True),
                                            ("false", False), ("0", False), ("no", False), ("", False)])  # fmt: skip
def test_yes_and_no_have_a_few_words(text, told):
    assert is_yes(QueryParams({"it": text}), "it") is told
    assert not is_yes(QueryParams(""), "it")


def test_other_words_are_neither_yes_nor_no():
    with pytest.raises(BadRequest, match="it is true or false, not 'perhaps'"):
        is_yes(QueryParams("it=perhaps"), "it")
