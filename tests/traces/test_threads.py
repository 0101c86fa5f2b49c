"""How calls are woven into conversations, whatever surface they came through."""

import json

from trimtab.traces.threads import weave

from .made import call, chat_bytes, reply_bytes, tool_call

HI, HOW, BYE = (
    {"role": "user", "content": "hi"},
    {"role": "user", "content": "how?"},
    {"role": "user", "content": "bye"},
)


def said(text):
    return {"role": "assistant", "content": text}


def chat(id, messages, answer, at=0.0, **more):
    return call(id, at=at, request=chat_bytes(messages), reply=reply_bytes(answer), **more)


def threads(*calls):
    return [[turn.exchange.record.call.id for turn in thread] for thread in weave(calls).threads]


def test_a_call_that_repeats_what_was_said_and_goes_on_is_the_same_thread():
    assert threads(
        chat("c1", [HI], "hello"),
        chat("c2", [HI, said("hello"), HOW], "so"),
    ) == [["c1", "c2"]]


def test_another_prompt_is_another_thread():
    agent = chat("c1", [HI], "hello")
    sub = chat("s1", [{"role": "system", "content": "search"}, HOW], "found")
    goes_on = chat("c2", [HI, said("hello"), BYE], "bye")
    sub_goes_on = chat("s2", [*json.loads(sub.request)["messages"], said("found"), HOW], "more")
    assert threads(agent, sub, goes_on, sub_goes_on) == [["c1", "c2"], ["s1", "s2"]]


def test_of_parallel_calls_the_one_whose_reply_was_taken_goes_on():
    first, second = chat("c1", [HI], "one"), chat("c2", [HI], "two")
    assert threads(first, second, chat("c3", [HI, said("one"), HOW], "x")) == [["c1", "c3"], ["c2"]]


def test_a_reply_that_the_client_trimmed_is_still_its_reply():
    assert threads(chat("c1", [HI], " hello \n"), chat("c2", [HI, said("hello"), HOW], "x")) == [["c1", "c2"]]


def test_a_history_that_was_cut_begins_a_thread():
    cut = chat("c2", [HOW], "x")
    assert threads(chat("c1", [HI], "hello"), cut) == [["c1"], ["c2"]]


def test_a_retry_of_an_old_turn_branches_off():
    one, two = chat("c1", [HI], "a"), chat("c2", [HI, said("a"), HOW], "b")
    branch = chat("c3", [HI, said("a"), BYE], "c")
    assert threads(one, two, branch) == [["c1", "c2"], ["c3"]]


def test_tool_arguments_are_the_same_however_they_are_spaced():
    asked = call(
        "c1", request=chat_bytes([HI]), reply=reply_bytes(None, [tool_call("t", "f", '{"a": 1, "b": 2}')])
    )
    history = [HI, {"role": "assistant", "content": "", "tool_calls": [tool_call("t", "f", '{"b":2,"a":1}')]}]
    result = {"role": "tool", "tool_call_id": "t", "content": "ok"}
    (thread,) = weave([asked, chat("c2", [*history, result], "done")]).threads
    assert [turn.place for turn in thread] == [1, 3]


def test_arguments_that_are_no_object_are_kept_as_text():
    record = call("c1", request=chat_bytes([HI]), reply=reply_bytes(None, [tool_call("t", "f", "not json")]))
    reply = weave([record]).threads[0][0].exchange.reply
    assert json.loads(bytes(reply.tool_calls[0].arguments)) == {"_raw": "not json"}


def test_anthropics_messages_are_woven_with_their_tools():
    user = {"role": "user", "content": "weather?"}
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"city": "Bern"}}
    head = {
        "model": "m",
        "max_tokens": 9,
        "system": "be brief",
        "tools": [{"type": "bash_20250124", "name": "bash"}],
    }
    answer = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "let me see"}, use],
    }
    first = call("c1", surface="messages", request=json.dumps(head | {"messages": [user]}).encode(),
                 reply=json.dumps(answer).encode())  # fmt: skip
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "rain"}]}
    more = [user, {"role": "assistant", "content": answer["content"]}, result]
    last = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "It rains."}]}
    second = call("c2", surface="messages", request=json.dumps(head | {"messages": more}).encode(),
                  reply=json.dumps(last).encode())  # fmt: skip
    (thread,) = weave([first, second]).threads
    end = thread[-1].exchange
    assert [m.role for m in end.messages] == ["system", "user", "assistant", "tool"]
    assert (end.messages[3].content, end.reply.content) == ("rain", "It rains.")
    assert [turn.exchange.record.call.id for turn in thread] == ["c1", "c2"]


def test_responses_are_woven_with_their_tools():
    user = {"role": "user", "content": "weather?"}
    use = {
        "type": "function_call",
        "call_id": "t1",
        "id": "fc",
        "name": "look",
        "arguments": "{}",
        "status": "completed",
    }
    reply = {"object": "response", "output": [{"type": "reasoning", "id": "x", "summary": []}, use]}
    first = call("c1", surface="responses", request=json.dumps({"model": "m", "input": [user]}).encode(),
                 reply=json.dumps(reply).encode())  # fmt: skip
    result = {"type": "function_call_output", "call_id": "t1", "output": "rain"}
    part = {"type": "output_text", "text": "It rains.", "annotations": []}
    last = {
        "output": [
            {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
        ]
    }
    second = call("c2", surface="responses", request=json.dumps({"model": "m", "input": [user, use, result]}).encode(),
                  reply=json.dumps(last).encode())  # fmt: skip
    (thread,) = weave([first, second]).threads
    assert [m.role for m in thread[-1].exchange.messages] == ["user", "assistant", "tool"]
    assert thread[-1].exchange.reply.content == "It rains."


def test_the_same_call_passed_on_by_a_gateway_is_one_turn():
    outer, inner = chat("outer", [HI], "hello"), chat("inner", [HI], "hello", at=0.1, parent="outer")
    innermost = chat("innermost", [HI], "hello", at=0.2, parent="inner")
    ((turn,),) = weave([outer, inner, innermost]).threads
    assert (turn.exchange.record.call.id, turn.calls) == ("outer", ("outer", "inner", "innermost"))


def test_a_sub_agents_call_under_its_parent_is_a_thread_of_its_own():
    assert threads(chat("c1", [HI], "x"), chat("s", [HOW], "y", parent="c1")) == [["c1"], ["s"]]


def test_calls_without_content_failures_and_embeddings_are_in_no_thread():
    dropped, failed = call("c1"), chat("c2", [HI], "half", status="failed")
    embedded = call("c3", surface="embeddings", request=b'{"input":"x","model":"m"}', reply=b'{"data":[]}')
    woven = weave([dropped, failed, embedded])
    assert (woven.threads, woven.note) == ((), "call c1: its content was not kept")


def test_content_that_is_no_conversation_is_said_so():
    for request, reply in (
        (b"\xff", b"{}"),
        (b"[]", b"{}"),
        (chat_bytes([HI]), b'{"choices":[]}'),
        (b"{", b"{"),
    ):
        woven = weave([call("c1", request=request, reply=reply)])
        assert woven.threads == ()
        assert woven.note.startswith("call c1: its ")


def test_images_stay_and_lists_of_text_become_text():
    parts = [{"type": "text", "text": "what "}, {"type": "text", "text": "is it?"}]
    image = [{"type": "image_url", "image_url": {"url": "data:,"}}, parts[0]]
    record = chat(
        "c1", [{"role": "developer", "content": parts}, {"role": "user", "content": image}], "a cat"
    )
    system, user = weave([record]).threads[0][0].exchange.messages
    assert (system.role, system.content) == ("system", "what is it?")
    assert [json.loads(bytes(part)) for part in user.content] == image
