import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.wire import DONE, BrokenStream, SseEvent, SseParser, encode_event

STREAM = (
    b": hello\n\nevent: ping\ndata: {}\n\ndata: one\ndata: two\n\r\n"
    b"id: 7\r\nevent:tick\r\ndata:three\r\n\r\ndata\n\nretry: 5\n\nevent: none\n\ndata: four\r\r\n\ndata: cut"
)
PIECES = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"data: a", b"data:b", b"event: e", b": c", b"data", b"x", b" "]),
    max_size=30,
).map(b"".join)


def told(events: list[SseEvent]) -> list[tuple[str, bytes]]:
    return [(event.event, event.data) for event in events]


def test_events_are_read_as_the_standard_says():
    parser = SseParser()
    assert told(parser.feed(STREAM)) == [
        ("ping", b"{}"),
        ("", b"one\ntwo"),
        ("tick", b"three"),
        ("", b""),
        ("", b"four"),
    ]
    assert parser.pending == b"data: cut"


def test_raw_holds_the_bytes_as_they_came():
    parser = SseParser()
    stream = b"data: a\n\nevent: x\r\ndata: b\r\n\r\n" + DONE
    assert b"".join(event.raw for event in parser.feed(stream)) == stream


def test_the_quick_way_gives_what_the_careful_way_gives():
    stream = b"data: a\n\nevent: x\ndata: b\n\n: note\n\ndata: c\ndata: d\n\n"
    slow = SseParser()
    one_by_one = [event for byte in stream for event in slow.feed(bytes([byte]))]
    assert SseParser().feed(stream) == one_by_one


@given(st.integers(0, len(STREAM)))
def test_one_cut_anywhere_changes_nothing(at):
    parser = SseParser()
    assert told(parser.feed(STREAM[:at]) + parser.feed(STREAM[at:])) == told(SseParser().feed(STREAM))


@given(PIECES, st.lists(st.integers(1, 4), max_size=40))
@example(b"data: a\r\r\n\n", [3, 4, 1])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 1, 1])
def test_any_cuts_change_nothing(stream, sizes):
    whole, cut = SseParser(), SseParser()
    expected = told(whole.feed(stream))
    events, at = [], 0
    for size in [*sizes, len(stream)]:
        events += cut.feed(stream[at : at + size])
        at += size
    assert told(events) == expected
    assert cut.pending == whole.pending


def test_a_byte_order_mark_is_dropped():
    parser = SseParser()
    assert told(parser.feed(b"\xef\xbb\xbfdata: a\n\n")) == [("", b"a")]


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data):
    SseParser().feed(data)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_endless_event_breaks_the_stream(size):
    parser = SseParser(max_event_bytes=1000)
    stream = b"data: " + b"x" * 2000 + b"\n\n"
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    with pytest.raises(BrokenStream):
        list(map(parser.feed, pieces))


def test_a_long_event_in_small_pieces_takes_linear_time():
    parser = SseParser()
    for _ in range(4000):
        parser.feed(b"x" * 1000)
    assert len(parser.pending) == 4_000_000


@given(st.binary(max_size=60).filter(lambda data: b"\r" not in data), st.sampled_from(["", "tick"]))
def test_what_is_encoded_is_read_back(data, name):
    assert told(SseParser().feed(encode_event(data, name))) == [(name, data)]
