import trimtab.wire


def test_the_room_exports_what_others_were_promised():
    assert set(trimtab.wire.__all__) == {
        "DONE",
        "MEDIA_TOKENS",
        "BrokenReply",
        "BrokenStream",
        "ChatToMessagesStream",
        "ChatToResponsesStream",
        "MessagesCollector",
        "MessagesToChatStream",
        "ReplyCollector",
        "ReplyFacts",
        "RequestFacts",
        "SseEvent",
        "SseParser",
        "StreamUsage",
        "ToolCall",
        "anthropic_error",
        "canonical",
        "chat_of_messages_reply",
        "chat_of_messages_request",
        "chat_of_responses_request",
        "encode_event",
        "error_event",
        "error_message",
        "messages_of_chat_reply",
        "messages_of_chat_request",
        "openai_error",
        "read_reply",
        "read_request",
        "responses_of_chat_reply",
        "rewrite",
        "stream_of_reply",
        "usage_of",
    }
    assert all(hasattr(trimtab.wire, name) for name in trimtab.wire.__all__)
