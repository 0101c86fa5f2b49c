import msgspec
import numpy as np
import pytest

from trimtab.controllers import Tool, ToolCall, Turn
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import Lived, Moment, standing_hits
from trimtab.learning.step_fit import Seen
from trimtab.learning.step_judge import Tally, by_episode, judge_eager, judge_exact

TOOLS = (Tool("get", {}, read_only=True), Tool("put", {}))
ONE, TWO = ToolCall("get", {"a": 1}), ToolCall("get", {"a": 2})
PUT = ToolCall("put", {"a": 1})


def run(*replies, offered=(ONE, TWO), chances=None, prices=100):
    """A user's turn, then these replies; every moment offers the same calls with these chances."""
    turns = [Turn("user", "x")]
    turns.extend(
        reply if isinstance(reply, Turn) else Turn("assistant", "", tuple(reply)) for reply in replies
    )
    costs = (None, *((prices,) * len(replies)))
    episode = Episode("run", "w", "a", "t", 1.0, tuple(turns), costs, TOOLS)
    ahead = standing_hits(episode)
    moments = []
    for number in episode.calls:
        keys = tuple(call.key for call in offered)
        later = np.array([key in ahead[number] for key in keys], bool)
        following = np.array([ahead[number].get(key) == number for key in keys], bool)
        moments.append(
            Moment(
                *(number, keys, tuple(call.name for call in offered), np.zeros(len(keys), np.int32)),
                *(np.zeros((len(keys), 2), np.float32), (frozenset(),) * len(keys), later, following),
            )
        )
    lived = Lived(episode, tuple(moments))
    told = chances if chances is not None else [moment.next.astype(float) for moment in moments]
    return [Seen(lived, moment, np.array(p), np.array(p)) for moment, p in zip(moments, told, strict=True)]


def always(one, at):
    return True


def never(one, at):
    return False


def likely(one, at):
    return one.next[at] > 0.5


def test_calls_made_ahead_save_the_replies_that_would_have_made_them():
    tally = judge_eager(run([ONE], [TWO], Turn("assistant", "done")), always)
    assert (tally.calls, tally.saved, tally.emitted, tally.hits) == (3, 2, 2, 2)
    assert (tally.nanodollars, tally.saved_nanodollars) == (300, 200)
    assert (tally.precision, tally.saved_share) == (1.0, pytest.approx(2 / 3))


def test_who_says_nothing_saves_nothing_and_is_never_wrong():
    tally = judge_eager(run([ONE], [TWO]), never)
    assert (tally.calls, tally.saved, tally.emitted, tally.precision) == (2, 0, 0, 1.0)


def test_a_call_that_nobody_makes_is_no_hit():
    tally = judge_eager(run([ONE], Turn("assistant", "done")), always)
    assert (tally.emitted, tally.hits, tally.precision) == (2, 1, 0.5)
    assert (tally.tools["get"], tally.tool_hits["get"]) == (2, 1)


def test_a_call_made_after_a_write_is_no_hit_and_saves_nothing_unless_it_is_emitted_again():
    replies = run([PUT], [ONE], chances=[[1.0, 0.0], [0.0, 0.0]], offered=(ONE, TWO))
    tally = judge_eager(replies, likely)
    assert (tally.emitted, tally.hits, tally.saved) == (1, 0, 0)
    assert judge_eager(run([PUT], [ONE]), always).saved == 1


def test_a_reply_is_saved_only_when_all_its_calls_are_covered():
    assert judge_eager(run([ONE, TWO]), always).saved == 1
    assert judge_eager(run([ONE, TWO], chances=[[1.0, 0.0]]), likely).saved == 0


def test_a_reply_that_writes_is_never_saved():
    assert judge_eager(run([ONE, PUT]), always).saved == 0


def test_a_reply_in_words_is_never_saved():
    assert judge_eager(run(Turn("assistant", "hello")), always).saved == 0


def test_a_call_is_emitted_once_while_it_stands():
    tally = judge_eager(run([ONE], [ONE], [ONE], offered=(ONE,)), always)
    assert (tally.emitted, tally.hits, tally.saved, tally.repeats) == (1, 1, 3, 2)


def test_money_counts_replies_of_known_price():
    tally = judge_eager(run([ONE], [TWO], prices=None), always)
    assert (tally.nanodollars, tally.saved_nanodollars, tally.saved) == (0, 0, 2)


def test_an_exact_answer_is_right_when_it_is_the_whole_reply():
    replies = run([ONE], [ONE, TWO], Turn("assistant", "done"), chances=[[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    sure = {one.moment.reply: 0.99 for one in replies}
    tally = judge_exact(replies, sure, 0.9)
    assert (tally.calls, tally.emitted, tally.hits, tally.saved) == (3, 3, 1, 1)
    assert tally.tools["get"] == 3


def test_below_its_threshold_nothing_is_answered():
    replies = run([ONE])
    assert judge_exact(replies, {1: 0.89}, 0.9).emitted == 0
    assert judge_exact(replies, {}, 0.9).emitted == 0
    assert judge_exact(replies, {1: 0.9}, 0.9).hits == 1


def test_sums_add_up():
    total = Tally()
    for _ in range(3):
        total.add(judge_eager(run([ONE], Turn("assistant", "done")), always))
    assert (total.calls, total.saved, total.emitted, total.hits, total.tools["get"]) == (6, 3, 6, 3, 6)


def test_moments_come_back_by_episode_and_in_order():
    replies = run([ONE], [TWO])
    assert by_episode(reversed(replies)) == {"run": replies}
    assert msgspec.json.encode(sorted(by_episode([]))) == b"[]"
