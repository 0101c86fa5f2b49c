"""Calls, entries and runs as these tests need them, and how they come into a database."""

import json

from trimtab.core import AttemptRecord, Attribution, Call, CallRecord, Entry, OutcomeRecord, Usage
from trimtab.store import calls, entries, runs, sums

START = 1_760_000_000.25


def chat_bytes(messages, model="m", **more):
    return json.dumps({"model": model, "messages": messages, **more}).encode()


def reply_bytes(content, tool_calls=None):
    message = {"role": "assistant", "content": content}
    if tool_calls:
        message["tool_calls"] = tool_calls
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()


def tool_call(id, name, arguments):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def call(id, at=0.0, seconds=1.0, request=b"", reply=b"", **more):
    """A call record; `at` is seconds after START."""
    who = {name: more.pop(name) for name in ("user", "workflow", "step", "task", "agent") if name in more}
    tenant, run = more.pop("tenant", "acme"), more.pop("run", "r1")
    parent = more.pop("parent", "")
    surface = more.pop("surface", "chat")
    asked = more.pop("asked", "m")
    defaults = {"status": "ok", "model": "m", "endpoint": "near", "usage": Usage(100, 10)}
    attribution = Attribution(tenant, run, parent_call=parent, **who)
    return CallRecord(
        call=Call(id, START + at, surface, asked, attribution, 100, 50),
        seconds=seconds,
        request=request,
        reply=reply,
        **(defaults | more),
    )


def attempt(id, **more):
    shared = {"endpoint": "near", "model": "m", "at": START, "seconds": 0.5, "first_token_seconds": 0.1}
    return AttemptRecord(id, **(shared | {"outcome": "answered", "usage": Usage(100, 10)} | more))


def entry(id, nanodollars, at=0.0, **more):
    shared = {
        "call": "", "tenant": "acme", "run": "r1", "user": "", "workflow": "", "step": "", "key": "",
        "kind": "model", "endpoint": "near", "model": "m", "certainty": "exact",
    }  # fmt: skip
    return Entry(id=id, at=START + at, nanodollars=nanodollars, **(shared | more))


def paid(record, nanodollars, **more):
    """The entry of a call that was answered at the first try."""
    who = record.call.who
    shared = {
        "call": record.call.id, "tenant": who.tenant, "run": who.run, "user": who.user, "workflow": who.workflow,
        "step": who.step, "endpoint": record.endpoint, "model": record.model, "usage": record.usage,
    }  # fmt: skip
    at = record.call.at + record.seconds - START
    return entry(f"{record.call.id}-paid", nanodollars, at, **(shared | more))


def outcome(reward, run="r1", tenant="acme", at=10.0):
    return OutcomeRecord(tenant, run, START + at, reward)


def keep(database, *records):
    """Store records as the writer would."""

    def work(connection):
        made = [each for each in records if isinstance(each, CallRecord)]
        lines = [each for each in records if isinstance(each, Entry)]
        calls.insert_calls(connection, made)
        entries.insert_entries(connection, lines)
        sums.add(connection, made, lines)
        runs.record_outcomes(connection, [each for each in records if isinstance(each, OutcomeRecord)])

    database.transact(work)
