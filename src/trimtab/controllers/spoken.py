"""What a message says in words and tools take in a fixed form: dates, times of day, numbers, names of several words,
and the known values of an argument. Linear in the text; nothing here knows a tool.

A date without a year, or a relative one, needs the day that a system message tells.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice

from trimtab.controllers.values import Value

MOST_SPOKEN = 64
_KEPT = 512
_WORD = re.compile(r"[^\W_]+")
_AROUND = 48
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNTS = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_NEAR = {"today": 0, "tonight": 0, "tomorrow": 1, "day after tomorrow": 2}
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_NTH = r"\d{1,2}(?:st|nd|rd|th)"
_DATE = re.compile(
    rf"""\b(?:(?P<iso>\d{{4}}-\d\d-\d\d)
    |(?P<month>{_MONTH})\s(?:the\s)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s(?P<year>\d{{4}}))?
    |(?P<day_first>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<month_last>{_MONTH})(?:,?\s(?P<year_last>\d{{4}}))?
    |(?P<nth>{_NTH})(?:\sof\sthis\smonth)?
    |(?P<near>day\safter\stomorrow|tomorrow|today|tonight)
    |(?P<weekday>{"|".join(_WEEKDAYS)})(?P<next_week>,?\snext\sweek)?)\b""",
    re.VERBOSE,
)
_PART_OF_DAY = "morning|afternoon|evening|night"
_HOUR = rf"(?:\d{{1,2}}|{'|'.join(_COUNTS)})"
_TIME = re.compile(
    rf"""\b(?:(?P<before>{_PART_OF_DAY})[,\s]\s?(?:at\s)?(?P<hour_after>{_HOUR})(?::(?P<minute_after>\d\d))?
    |(?:(?P<part>half|quarter)\s(?P<way>past|to)\s)?(?P<hour>{_HOUR})(?::(?P<minute>\d\d))?
     (?:\s?o.?clock)?(?:\s?(?P<half>[ap])\.?m|\s(?:in|at)\s(?:the\s)?(?P<after>{_PART_OF_DAY}))?)\b""",
    re.VERBOSE,
)
_NUMBER = re.compile(rf"(?<![\w:.,/$#-])(?:\d{{1,3}}|{'|'.join(_COUNTS)})(?![\w:/-]|[.,]\d)")
_NAMED = re.compile(r"[^\s\"]{1,64}")
_QUOTED = re.compile(r'"([^"\n]{2,64})"')
_LINKS = frozenset({"of", "the", "and", "&", "in", "on", "for", "de", "la"})
_MOST_NAMED = 8


@lru_cache(maxsize=_KEPT)
def said_words(text: str) -> str:
    """The words of a text in lower case, one space before and behind each."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


@lru_cache(maxsize=_KEPT)
def spoken_values(said: Value, today: date | None) -> tuple[Value, ...]:
    """What a message (a value of the whole text) says, by source: `user:=date`, `=time`, `=number`, `=name`.

    A number is the text of its digits, and none where it belongs to a date or a time. `today` dates what has no year.
    """
    text, low = said.text, said.text.lower()
    low = low if len(low) == len(text) else text
    dates, times = (list(islice(spans, MOST_SPOKEN)) for spans in (_dates(low, today), _times(low)))
    told = {at for start, end, _ in (*dates, *times) for at in range(start, end)}
    numbers = [span for span in islice(_numbers(low), MOST_SPOKEN) if span[0] not in told]
    kinds = {"date": dates, "time": times, "number": numbers, "name": islice(_names(text), MOST_SPOKEN)}
    return tuple(_value(said, kind, form, low, *at) for kind, spans in kinds.items() for *at, form in spans)


@lru_cache(maxsize=8 * _KEPT)
def said_options(options: tuple[str, ...], said: Value) -> tuple[Value, ...]:
    """Those of the options that the message says, in any case or as a plural; the longer where one holds another."""
    words = said_words(said.text)
    found = []
    for option in sorted(options, key=lambda one: (-len(one), one)):
        form = said_words(option)
        for told in (form, f"{form[:-1]}s "):
            at = words.rfind(told) if len(form) > 2 else -1
            if at >= 0:
                found.append(_value(said, "option", option, words, at + 1, at + len(told) - 1))
                words = words.replace(told[1:-1], "_" * (len(told) - 2))
    return tuple(sorted(found, key=lambda one: one.offset))


def _value(said: Value, kind: str, form: str, text: str, start: int, end: int) -> Value:
    before = _WORD.findall(text[max(0, start - _AROUND) : start])[-2:]
    after = _WORD.findall(text[end : end + _AROUND])[:1]
    sides = ("-2:", "-1:")[2 - len(before) :]
    around = (
        *(side + word for side, word in zip(sides, before, strict=True)),
        *(f"+1:{word}" for word in after),
    )
    source = f"{said.place[1]}:={kind}"
    return Value(form, form, source, said.turn, said.place, said.row, offset=start, around=around)


_Span = tuple[int, int, str]


def _dates(text: str, today: date | None) -> Iterator[_Span]:
    for match in _DATE.finditer(text):
        day = _day(match, today)
        if day is not None:
            yield match.start(), match.end(), day.isoformat()


def _day(match: re.Match[str], today: date | None) -> date | None:
    told = match.groupdict()
    try:
        if told["iso"]:
            return date.fromisoformat(told["iso"])
        if name := told["month"] or told["month_last"]:
            month = _MONTHS.index(name[:3]) + 1
            day, year = int(told["day"] or told["day_first"]), told["year"] or told["year_last"]
            return date(int(year), month, day) if year else _coming(month, day, today)
        if today is None:
            return None
        if told["nth"]:
            day = int(told["nth"][:-2])
            month = today.month + (day < today.day)
            return date(today.year + (month > 12), (month - 1) % 12 + 1, day)
        if told["near"]:
            return today + timedelta(_NEAR[" ".join(told["near"].split())])
        return _weekday(_WEEKDAYS.index(told["weekday"]), bool(told["next_week"]), today)
    except (ValueError, OverflowError):
        return None


def _coming(month: int, day: int, today: date | None) -> date | None:
    """The next such day."""
    if today is None:
        return None
    this_year = date(today.year, month, day)
    return this_year if this_year >= today else date(today.year + 1, month, day)


def _weekday(number: int, next_week: bool, today: date) -> date:  # noqa: FBT001 - as it was said
    if next_week:
        return today + timedelta(7 - today.weekday() + number)
    return today + timedelta((number - today.weekday() - 1) % 7 + 1)


def _times(text: str) -> Iterator[_Span]:
    for match in _TIME.finditer(text):
        told = match.groupdict()
        hour = _count(told["hour_after"] or told["hour"])
        minute = int(told["minute_after"] or told["minute"] or 0)
        if told["part"]:
            minute = 30 if told["part"] == "half" else 15
            if told["way"] == "to":
                hour, minute = hour - 1, 60 - minute
        of_day = told["before"] or told["after"] or {"a": "morning", "p": "evening"}.get(told["half"] or "")
        if of_day is None and not (told["minute"] and (hour > 12 or told["hour"][0] == "0")):
            continue
        hour = _of_day(hour, of_day)
        if hour < 24 and minute < 60:
            yield match.start(), match.end(), f"{hour:02}:{minute:02}"


def _of_day(hour: int, part: str | None) -> int:
    if part is None or hour > 12:
        return hour
    late = part in ("afternoon", "evening") or (part == "night" and 5 <= hour < 12)
    return hour % 12 + 12 * late


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else _COUNTS.index(word) + 1


def _numbers(text: str) -> Iterator[_Span]:
    for match in _NUMBER.finditer(text):
        yield match.start(), match.end(), str(_count(match.group()))


def _names(text: str) -> Iterator[_Span]:
    """Runs of words with capitals, without the one that only opens a sentence too, and what stands in quotes."""
    for match in _QUOTED.finditer(text):
        yield match.start(1), match.end(1), match.group(1)
    run: list[re.Match[str]] = []
    opens = True
    for match in _NAMED.finditer(text):
        word = match.group()
        named = word[0].isupper() or (word[0].isdigit() and bool(run))
        if (not named and not (run and word in _LINKS)) or len(run) == _MOST_NAMED:
            yield from _runs(text, run, opens)
            run = []
        if named or (run and word in _LINKS):
            if not run:
                opens = _opens(text, match.start())
            run.append(match)
        if run and word[-1] in ",.?!;:" and not (word[-1] == "." and len(word) <= 3):
            yield from _runs(text, run, opens)
            run = []
    yield from _runs(text, run, opens)


def _runs(text: str, run: list[re.Match[str]], opens: bool) -> Iterator[_Span]:  # noqa: FBT001 - a fact
    while run and run[-1].group() in _LINKS:
        run = run[:-1]
    for first in range(1 + opens):
        if len(run) - first >= 2:
            start, end = run[first].start(), run[-1].end()
            name = text[start:end].rstrip(",.?!;:")
            yield start, start + len(name), name


def _opens(text: str, start: int) -> bool:
    before = text[max(0, start - 3) : start].rstrip()
    return not before or before[-1] in ".?!\n\"'"
