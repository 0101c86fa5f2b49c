import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.controllers import Turn, values_of_turn
from trimtab.controllers.spoken import MOST_SPOKEN, said_options, spoken_values

FRIDAY = date(2019, 3, 1)


def told(text, speaker="user"):
    return values_of_turn(Turn(speaker, text), 3, "")[-1]


def spoken(text, kind, today=FRIDAY):
    return [value.json for value in spoken_values(told(text), today) if value.source == f"user:={kind}"]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        *(("on March 8th", "2019-03-08"), ("the 8th of March", "2019-03-08"), ("mar. 8", "2019-03-08")),
        *(("February 2nd", "2020-02-02"), ("May 5, 2021", "2021-05-05"), ("2024-02-29", "2024-02-29")),
        *(("the 11th", "2019-03-11"), ("11th of this month", "2019-03-11"), ("TODAY", "2019-03-01")),
        *(("tomorrow", "2019-03-02"), ("day after tomorrow", "2019-03-03"), ("next Friday", "2019-03-08")),
        *(
            ("this saturday", "2019-03-02"),
            ("Monday next week", "2019-03-04"),
            ("Sunday, next week", "2019-03-10"),
        ),
    ],
)
def test_a_day_is_dated_by_the_day_the_system_tells(text, day):
    assert spoken(text, "date") == [day]


def test_without_a_day_to_count_from_only_full_dates_are_dates():
    assert spoken("tomorrow, on the 3rd, March 8th or Friday", "date", None) == []
    assert spoken("on May 5, 2021", "date", None) == ["2021-05-05"]


@pytest.mark.parametrize("text", ["February 30th", "2019-13-45", "the 41st", "the 31st of June", "March 0"])
def test_a_day_that_no_calendar_has_is_none(text):
    assert spoken(text, "date") == []


def test_the_end_of_a_year_leads_into_the_next():
    assert spoken("the 3rd", "date", date(2019, 12, 30)) == ["2020-01-03"]
    assert spoken("tomorrow", "date", date.max) == []


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        *(("7:30 pm", "19:30"), ("7 AM", "07:00"), ("12 p.m.", "12:00"), ("12:15 am", "00:15")),
        *(("half past 11 in the morning", "11:30"), ("quarter to six in the evening", "17:45")),
        *(("afternoon 1:30", "13:30"), ("twelve in the afternoon", "12:00"), ("at 14:05", "14:05")),
        *(("10 o'clock in the night", "22:00"), ("morning, 9", "09:00"), ("2 at night", "02:00")),
    ],
)
def test_a_time_of_day_is_on_24_hours(text, clock):
    assert spoken(text, "time") == [clock]


@pytest.mark.parametrize("text", ["at 5", "5:30", "25:00", "7:75 pm", "gate 12"])
def test_a_time_that_may_be_two_things_is_none(text):
    assert spoken(text, "time") == []


def test_numbers_are_digits_and_belong_to_no_date_or_time():
    assert spoken("two adults, 3 rooms, on March 8th at 7 pm, order W123, $40, 1.5", "number") == ["2", "3"]


def test_a_name_of_several_words_is_one_value_without_the_word_that_opens_a_sentence_too():
    assert spoken("Find Gary Danko, in San Francisco please", "name") == [
        "Find Gary Danko",
        "Gary Danko",
        "San Francisco",
    ]
    assert spoken('play "shape of you" by Pirates of the Caribbean', "name") == [
        *("shape of you", "Pirates of the Caribbean"),
    ]
    assert spoken("I am Mia. Berlin is fine", "name") == []


def test_known_values_are_found_in_any_case_and_spelled_as_known():
    options = ("Full-size", "Museum", "New York", "York")
    found = said_options(options, told("museums in NEW YORK with a full size car"))
    assert [value.json for value in found] == ["Museum", "New York", "Full-size"]
    assert found[1].around == ("-2:museums", "-1:in", "+1:with")
    assert said_options(options, told("a newyorker")) == ()


def test_who_said_it_stays_with_the_value():
    (value,) = spoken_values(told("at 7 pm", "assistant"), None)
    assert (value.source, value.turn, value.is_field) == ("assistant:=time", 3, False)


HOSTILE = {
    "hours": "12:12 " * 20_000,
    "days": "march 8th " * 10_000,
    "names": "Ab " * 33_000,
    "links": "Ab of the and " * 8_000,
    "quotes": '"' * 100_000,
    "half quotes": '"a' * 50_000,
    "digits": "1" * 100_000,
    "spaces": " " * 100_000,
    "halves": "half past " * 10_000,
    "one word": "A" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_long_and_hostile_texts_take_a_blink(name):
    values = values_of_turn(Turn("user", HOSTILE[name]), 3, "")
    options = tuple(f"Ab{number} of" for number in range(200))
    begun = time.thread_time()
    for value in values[-1:]:
        assert len(spoken_values(value, FRIDAY)) <= 4 * MOST_SPOKEN
        said_options(options, value)
    assert time.thread_time() - begun < 0.5


@given(st.text(max_size=200) | st.text("1h2 :mapr'MONDAYtheof,th", max_size=80))
def test_whatever_is_said_every_value_stands_where_it_says(text):
    for value in values_of_turn(Turn("user", text), 0, "")[-1:]:
        for one in spoken_values(value, FRIDAY):
            assert one.text
            assert 0 <= one.offset < max(len(text), 1)
            if one.source == "user:=date":
                date.fromisoformat(one.text)
