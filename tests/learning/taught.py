"""Texts and recorded runs for courses: small, of several tasks, and easy enough to be learned."""

import json
from pathlib import Path

WORDS = ("card", "flight", "song")
BEGINS = ("a", "the", "my", "new", "lost", "i book the", "how is my", "do i reset the", "book a", "is the")
ENDS = ("", "please", "now", "on the way", "to go", "again", "today", "for me")


def texts():
    """(text, label, task): a task is one way to begin and end."""
    return [
        (f"{begin} {word} {end}".strip(), word, f"{begin}/{end}")
        for begin in BEGINS
        for end in ENDS
        for word in WORDS
    ]


def write_lines(path: Path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_file(folder: Path, **more):
    rows = [{"text": text, "label": label, "group": task} | more for text, label, task in texts()]
    return write_lines(folder / "rows.jsonl", rows)


def run_line(task, agent, messages, reward=1.0, usd=0.01, workflow="triage", trial=0):
    """One recorded run of one conversation."""
    return {
        "agent": agent, "domain": workflow, "task": task, "trial": trial, "reward": reward,
        "agent_cost_usd": usd, "messages": messages,
    }  # fmt: skip


def asked(text, reply, step="classify", **more):
    return [
        {"role": "system", "content": "Say one word."},
        {"role": "user", "content": text},
        {"role": "assistant", "content": reply, "step": step} | more,
    ]
