"""A simulated model for the examples: it chooses, quotes, writes, checks, labels, extracts and sums up by plain rules.

No model runs here, and what it answers measures none. The first word of the system message says which rule is asked
for; the same request always gets the same answer, after a time that grows with what it has to read.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "sim-clerk"
_FIRST_SECONDS, _TOKEN_SECONDS = 0.01, 0.0005
_MOST_QUOTES = 2
_SMALL_WORDS = (
    " a an and are as at be by can did do does for from had has have how i in is it its of on or than that the their "
    "them they this to was were what when where which who whom why will with you your "
)
_ORDER = re.compile(r"\bFW-\d{4,6}\b")
_PRODUCT = re.compile(
    r"\b[Tt]he ((?:[A-Z][\w-]*|\d[\w-]*)(?: [\w-]+)*? (?:pads|chain|pump|tape|cage|saddle|light))"
)
_LABELS = {
    "delivery": r"\b(where is|arrive|tracking|late|parcel|on its way)\b",
    "refund": r"\b(refund|money back|send back|return|does not fit)\b",
    "cancel": r"\b(cancel|call off|changed my mind)\b",
    "stock": r"\b(in stock|available|do you have|do you sell)\b",
}


def reply_to(system: str, text: str) -> str:
    """What the clerk answers. Raises KeyError where the system message asks for nothing that it knows."""
    return _RULES[system.split(maxsplit=1)[0].lower()](text)


def _choose(text: str) -> str:
    """The names that share a word with what is asked; all where none does."""
    asked, _, names = text.partition("Sources:")
    listed = [line.removeprefix("- ").strip() for line in names.splitlines() if line.strip()]
    return "\n".join([name for name in listed if _words(name) & _words(asked)] or listed)


def _quote(text: str) -> str:
    """The sentences that share most with what is asked."""
    asked, _, passage = text.partition("Passage:")
    wanted = _words(asked)
    sentences = re.split(r"(?<=[.!?])\s+", passage.strip())
    shared = [(len(_words(sentence) & wanted), -place, sentence) for place, sentence in enumerate(sentences)]
    best = [found for found in sorted(shared, reverse=True) if found[0] > 0][:_MOST_QUOTES]
    return " ".join(sentence for _, _, sentence in sorted(best, key=lambda found: -found[1])) or "NONE"


def _write(text: str) -> str:
    _, _, notes = text.partition("Notes:")
    return "(simulated) " + " ".join(line.removeprefix("- ") for line in notes.splitlines() if line.strip())


def _check(text: str) -> str:
    asked, _, answer = text.partition("Answer:")
    missing = _words(asked.removeprefix("Question:")) - _words(answer)
    return ", ".join(sorted(missing)) or "OK"


def _label(text: str) -> str:
    found = (label for label, cues in _LABELS.items() if re.search(cues, text, re.IGNORECASE))
    return next(found, "other")


def _extract(text: str) -> str:
    order, product = _ORDER.search(text), _PRODUCT.search(text)
    return json.dumps({"order": order[0] if order else "", "product": product[1] if product else ""})


def _summarise(text: str) -> str:
    kind = re.search(r"^Kind: (.*)$", text, re.MULTILINE)
    facts = re.findall(r'"(order_id|status|delivered|name|stock|error)":("[^"]*"|\d+)', text)
    told = ", ".join(dict.fromkeys(f"{name} {value}".replace('"', "") for name, value in facts))
    return f"(simulated) {kind[1] if kind else 'request'}: {told or 'nothing was looked up'}"


_RULES: dict[str, Callable[[str], str]] = {
    "choose": _choose,
    "quote": _quote,
    "write": _write,
    "check": _check,
    "label": _label,
    "extract": _extract,
    "summarise": _summarise,
}


def _words(text: str) -> set[str]:
    """Words that mean something, without their endings."""
    found = re.findall(r"[a-z]+", text.lower())
    return {
        re.sub(r"(ing|ed|es|s)$", "", word)
        for word in found
        if len(word) > 2 and f" {word} " not in _SMALL_WORDS
    }


async def complete(request: Request) -> Response:
    """POST /v1/chat/completions, streamed or not."""
    body = await request.json()
    said = {message["role"]: str(message["content"]) for message in body["messages"]}
    try:
        text = reply_to(said.get("system", ""), said.get("user", ""))
    except (KeyError, IndexError):
        fault = {"message": f"the simulated clerk knows only {', '.join(_RULES)}", "code": "unknown_task"}
        return JSONResponse({"error": fault}, 400)
    tokens = sum(len(message) // 4 + 1 for message in said.values())
    usage = {"prompt_tokens": tokens, "completion_tokens": len(text) // 4 + 1}
    await asyncio.sleep(_FIRST_SECONDS + _TOKEN_SECONDS * tokens)
    base = {"id": "chatcmpl-simulated", "created": 0, "model": MODEL, "system_fingerprint": "simulated"}
    if body.get("stream"):
        events = _events(base | {"object": "chat.completion.chunk"}, text, usage)
        return StreamingResponse(events, media_type="text/event-stream")
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return JSONResponse(base | {"object": "chat.completion", "choices": [choice], "usage": usage})


def _events(base: dict[str, Any], text: str, usage: dict[str, int]) -> Iterator[bytes]:
    deltas: tuple[tuple[dict[str, str], str | None], ...] = (
        ({"role": "assistant", "content": text}, None),
        ({}, "stop"),
    )
    for delta, finish in deltas:
        yield _event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    yield _event(base | {"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def clerk_app() -> Starlette:
    """The simulated clerk as an OpenAI-compatible ASGI app."""
    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
