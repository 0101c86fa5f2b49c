"""Check digits: what tells a payment card or an IBAN from any other run of characters."""

_CARD_DIGITS = range(13, 20)
_DIGIT_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes.maketrans(bytes(range(10)), bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))

_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: b"NO",
        16: b"BE",
        18: b"DK FI FO GL NL",
        19: b"MK SI",
        20: b"AT BA EE KZ LT LU XK",
        21: b"CH HR LI LV",
        22: b"BG BH CR DE GB GE IE ME RS VA",
        23: b"AE GI IL IQ TL",
        24: b"AD CZ ES MD PK RO SA SE SK TN VG",
        25: b"PT ST",
        26: b"IS TR",
        27: b"FR GR IT MC MR SM",
        28: b"AL AZ BY CY DO GT HU LB PL SV",
        29: b"BR EG PS QA UA",
        30: b"JO KW MU",
        31: b"MT SC",
        32: b"LC",
    }.items()
    for country in countries.split()
}


def card_length(text: bytes) -> int:
    """The length of `text` where its digits are a payment card's (Luhn, ISO/IEC 7812), else 0."""
    digits = text.translate(_DIGIT_VALUES, b" -")
    if len(digits) not in _CARD_DIGITS:
        return 0
    total = sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLED))
    return 0 if total % 10 else len(text)


def iban_length(text: bytes) -> int:
    """How much of `text`, from its start, is an IBAN (length by country, mod 97; ISO 13616), else 0."""
    wanted = _IBAN_LENGTHS.get(text[:2])
    if wanted is None:
        return 0
    at = seen = 0
    while at < len(text) and seen < wanted:
        seen += text[at] != 0x20
        at += 1
    if seen < wanted or text[at : at + 1].isalnum():
        return 0
    compact = text[:at].replace(b" ", b"").decode("ascii")
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return at if int(number) % 97 == 1 else 0
