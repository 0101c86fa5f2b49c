"""The wire: OpenAI and Anthropic shapes to and from core values, and server-sent events. Bytes in, values or
bytes out; no network, no clock."""

from trimtab.wire.body import canonical, rewrite
from trimtab.wire.chat_from_messages import chat_of_messages_reply, chat_of_messages_request
from trimtab.wire.chat_from_responses import chat_of_responses_request
from trimtab.wire.chat_stream import MessagesToChatStream
from trimtab.wire.collector import ReplyCollector
from trimtab.wire.error import anthropic_error, error_event, error_message, is_too_long, openai_error
from trimtab.wire.messages_collector import MessagesCollector
from trimtab.wire.messages_from_chat import messages_of_chat_reply, messages_of_chat_request
from trimtab.wire.messages_stream import ChatToMessagesStream
from trimtab.wire.prompt import MEDIA_TOKENS
from trimtab.wire.reasoning import asks_to_reason, shows_reasoning
from trimtab.wire.reply import BrokenReply, ReplyFacts, ToolCall, read_reply, stream_of_reply
from trimtab.wire.request import RequestFacts, read_request
from trimtab.wire.responses_from_chat import responses_of_chat_reply
from trimtab.wire.responses_stream import ChatToResponsesStream
from trimtab.wire.service import names_service, special_service
from trimtab.wire.sse import DONE, BrokenStream, SseEvent, SseParser, encode_event
from trimtab.wire.usage import NOTHING_TOLD, StreamUsage, Told, told_of, usage_of

__all__ = [
    "DONE",
    "MEDIA_TOKENS",
    "NOTHING_TOLD",
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
    "Told",
    "ToolCall",
    "anthropic_error",
    "asks_to_reason",
    "canonical",
    "chat_of_messages_reply",
    "chat_of_messages_request",
    "chat_of_responses_request",
    "encode_event",
    "error_event",
    "error_message",
    "is_too_long",
    "messages_of_chat_reply",
    "messages_of_chat_request",
    "names_service",
    "openai_error",
    "read_reply",
    "read_request",
    "responses_of_chat_reply",
    "rewrite",
    "shows_reasoning",
    "special_service",
    "stream_of_reply",
    "told_of",
    "usage_of",
]
