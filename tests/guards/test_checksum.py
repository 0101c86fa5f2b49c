import pytest

from trimtab.guards.checksum import card_length, iban_length


@pytest.mark.parametrize(
    "number", [b"4111111111111111", b"5555 5555 5555 4444", b"378282246310005", b"6011111111111117"]
)
def test_card_numbers_have_luhns_check_digit(number):
    assert card_length(number) == len(number)
    last = b"%d" % ((int(number[-1:]) + 1) % 10)
    assert card_length(number[:-1] + last) == 0


def test_a_card_number_has_13_to_19_digits():
    assert card_length(b"0" * 12) == 0
    assert card_length(b"0" * 20) == 0


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (b"DE89370400440532013000", 22),
        (b"DE89 3704 0044 0532 0130 00 AND", 27),
        (b"NO9386011117947", 15),
        (b"MT84MALT011000012345MTLCAST001S", 31),
        (b"DE8937040044053201300", 0),
        (b"DE893704004405320130001", 0),
        (b"DE88370400440532013000", 0),
        (b"QQ89370400440532013000", 0),
    ],
)
def test_an_iban_has_its_countrys_length_and_check_digits(text, length):
    assert iban_length(text) == length
