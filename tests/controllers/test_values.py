import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.controllers import Turn, values_of_turn
from trimtab.controllers.values import MOST_VALUES, TEXT, TODAY, shape

SENTENCES = (
    *("Η παραγγελία μου είναι W123", "Мой заказ W123", "我的订单是 W123", "注文番号は W123", "주문 W123 입니다"),
    *("طلبي هو W123", "ההזמנה שלי W123", "मेरा आदेश W123", "คำสั่งซื้อ W123", "সাহায্য W123", "எனது W123", "నా W123"),
    *("Đơn hàng W123", "Sipariş W123", "Zamówienie W123", "Objednávka W123", "Rendelés W123", "Tellimus W123"),
    *("Pasūtījums W123", "Užsakymas W123", "Pöntun W123", "Bestellung W123", "Bestelling W123", "Encomenda W123"),
    *("Pedido W123", "Commande W123", "Ordine W123", "Comandă W123", "Поръчка W123", "Поруџбина W123"),
    *("Narudžba W123", "Naročilo W123", "Porosia W123", "Замовлення W123", "Заказ W123 қазақ", "შეკვეთა W123"),
    *("Պատվեր W123", "Захиалга W123", "ការបញ្ជាទិញ W123", "ຄໍາສັ່ງ W123", "အော်ဒါ W123", "ඇණවුම W123", "ഓർഡർ W123"),
    *("ಆದೇಶ W123", "ਆਰਡਰ W123", "ઓર્ડર W123", "ትእዛዝ W123", "Agizo W123", "I-oda W123", "Tilaus W123", "Beställning W123"),
)  # fmt: skip
HOSTILE = {
    "plus signs": "+" * 100_000,
    "letters and plus signs": "a+" * 50_000,
    "dashes": "-" * 100_000,
    "an address without an end": "+" * 9_000 + "@" + "a" * 91_000,
    "addresses without dots": "a@" * 50_000,
    "one word": "A" * 100_000,
    "names": "Ab " * 33_000,
    "dots": "a." * 50_000,
    "brackets": "[" * 100_000,
    "objects": '{"a":' * 20_000,
    "lists that close": "[" * 50_000 + "]" * 50_000,
}


def user(text):
    return values_of_turn(Turn("user", text), 3, "")


def result(content, tool="get"):
    text = content if isinstance(content, str) else json.dumps(content)
    return values_of_turn(Turn("tool", text), 3, tool)


def found(values):
    """Without the message as a whole."""
    return [(value.source, value.json) for value in values if not value.source.endswith(TEXT)]


def test_words_with_digits_or_capitals_are_values_and_plain_language_is_none():
    assert found(user("please cancel order #W1234567 for Mia, zip 90210, at mia.li@mail.example now")) == [
        *(("user:#X8", "#W1234567"), ("user:Aa", "Mia"), ("user:95", "90210")),
        ("user:email", "mia.li@mail.example"),
    ]


def test_a_word_ends_before_the_point_of_its_sentence():
    assert [text for _, text in found(user("It is AB12. Or CD34/EF56: no!"))] == [
        *("It", "AB12", "Or", "CD34/EF56"),
    ]


def test_a_message_is_a_value_of_its_own_and_a_result_is_none():
    assert user("It is 7 pm")[-1].source == "user:=text"
    assert user("It is 7 pm")[-1].text == "It is 7 pm"
    assert not any(value.source.endswith(TEXT) for value in result("It is 7 pm"))


def test_a_system_message_tells_the_day_and_nobody_else_does():
    (day,) = values_of_turn(Turn("system", "Now: 2024-05-15 15:00 EST, since 2020-01-01"), 0, "")
    assert (day.source, day.text) == (TODAY, "2024-05-15")
    assert not any(value.source == TODAY for value in user("system:=today 2024-05-15"))


def test_a_word_knows_its_neighbours_numbers_among_them_by_their_shape():
    (value,) = (value for value in user("from gate 12 to XY99 at 7 today") if value.text == "XY99")
    assert value.around == ("-2:92", "-1:to", "+1:at")


def test_fields_are_named_by_their_path_and_stand_in_their_object_and_list():
    values = result(
        {"id": "u1", "ways": [{"kind": "card", "n": 4}, {"kind": "cash", "n": 7}], "gone": None, "ok": True}
    )
    assert found(values) == [
        *(("get.id", "u1"), ("get.ways[].kind", "card"), ("get.ways[].n", 4)),
        *(("get.ways[].kind", "cash"), ("get.ways[].n", 7)),
    ]
    card, four, cash = values[1:4]
    assert card.place == four.place != cash.place
    assert (card.index, card.length, cash.index) == (0, 2, 1)
    assert card.row == cash.row


def test_keys_that_are_numbered_are_values_and_never_part_of_a_source():
    values = result({"items": {"9523456873": {"size": "L"}, "4648362606": {"size": "M"}}})
    assert found(values)[:2] == [("get.items{}#", "9523456873"), ("get.items{}.size", "L")]
    assert values[0].place == values[1].place != values[2].place


def test_a_bare_word_of_a_tool_is_its_result_and_a_sentence_is_text():
    assert found(result(" mia_li_3668 ")) == [("get$", "mia_li_3668")]
    assert found(result("Error: user X1234 not found")) == [("get?:Aa", "Error"), ("get?:X5", "X1234")]
    assert not any(value.is_field for value in result("Error: user X1234 not found"))


def test_json_inside_a_field_is_a_text_and_its_ids_are_no_values():
    assert found(result({"note": '{"user_id": "evil_1"}'})) == [("get.note", '{"user_id": "evil_1"}')]


def test_a_system_message_and_a_picture_hold_no_values():
    assert values_of_turn(Turn("system", '{"user_id": "X1234"}'), 0, "") == []
    assert user("") == []


def test_json_in_a_message_is_read_as_words():
    assert all(not value.is_field for value in user('{"reservation_id": "AB12CD"}'))


@pytest.mark.parametrize("text", SENTENCES)
def test_an_id_is_found_in_any_language(text):
    assert "W123" in [value.text for value in user(text) if value.source == "user:X4"]


@pytest.mark.parametrize(
    ("word", "kind"), [("Müller", "Aa"), ("МИР", "A3"), ("日本", "a"), ("A1-b", "X2-a"), ("x_1", "a_91")]
)
def test_a_shape_tells_no_letters_of_any_alphabet(word, kind):
    assert shape(word) == kind


@pytest.mark.parametrize("speaker", ["user", "assistant", "tool"])
@pytest.mark.parametrize("name", HOSTILE)
def test_long_and_hostile_texts_take_a_blink(name, speaker):
    begun = time.thread_time()
    values = values_of_turn(Turn(speaker, HOSTILE[name]), 1, "get")
    assert time.thread_time() - begun < 0.5
    assert len(values) <= MOST_VALUES


@pytest.mark.parametrize("depth", [31, 200, 900, 990, 5_000])
def test_deep_results_are_read_as_far_as_they_are_reasonable(depth):
    values = result('{"a":' * depth + '"AB12"' + "}" * depth)
    assert found(values) == ([("get" + ".a" * depth, "AB12")] if depth < 32 else [])


def test_of_a_huge_result_the_first_values_are_kept():
    values = result([{"id": f"u{number}", "n": number} for number in range(30_000)])
    assert len(values) == MOST_VALUES
    assert values[0].text == "u0"


@pytest.mark.parametrize(
    "text", ["\x00\x01\xff", "[NaN]", "[1e999]", '["\ud800"]', "\ud800", "\ufeff{}", '{"a": "\\ud83d"}']
)
def test_binary_and_broken_results_are_only_texts(text):
    assert not any(value.is_field and "." in value.source for value in result(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)
SPEAKERS = st.sampled_from(["user", "assistant", "tool", "system"])


@given(SPEAKERS, st.text(max_size=300))
def test_every_text_can_be_read_and_every_word_stands_in_it(speaker, text):
    for value in values_of_turn(Turn(speaker, text), 0, "get"):
        assert value.text in text
        assert value.text
        assert msgspec.json.encode(value.json) is not None


@given(JSON)
def test_every_result_can_be_read_and_every_field_stands_in_it(content):
    text = json.dumps(content)
    values = values_of_turn(Turn("tool", text), 0, "get")
    leaves = set(map(str, _leaves(content)))
    fields = [value for value in values if value.is_field and value.source != "get$"]
    assert all(value.text in leaves or isinstance(value.json, int | float) for value in fields)
    assert values == values_of_turn(Turn("tool", text), 0, "get")


def _leaves(node):
    if isinstance(node, dict):
        for key, item in node.items():
            yield key
            yield from _leaves(item)
    elif isinstance(node, list):
        for item in node:
            yield from _leaves(item)
    else:
        yield node
