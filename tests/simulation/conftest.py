"""Recorded runs for these tests: the shared traces where they are, and a small file of our own."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OWN_RUN = {
    "agent": "toy-agent",
    "domain": "lamps",
    "task": "[odd] task: 1",
    "trial": 0,
    "reward": 1.0,
    "messages": [
        {"role": "assistant", "content": "Hello!", "t": 0.0},
        {"role": "user", "content": "My lamp flickers – help.", "t": 1.0},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a1", "name": "look", "arguments": {"lamp": "ünï", "deep": {"x": [1, 2.5]}}},
                {"id": "a2", "name": "list", "arguments": {}},
            ],
            "usage": {"prompt_tokens": 120, "completion_tokens": 30},
            "t": 1.25,
        },
        {"role": "tool", "content": "fine", "tool_call_id": "a1", "for": "assistant", "t": 1.25},
        {"role": "tool", "content": "none", "tool_call_id": "a2", "for": "assistant", "t": 1.25},
        {"role": "assistant", "content": "Please switch it off.", "t": 1.5},
        {
            "role": "user",
            "content": "I will press it.",
            "tool_calls": [{"id": "u1", "name": "press", "arguments": {}}],
            "t": 2.0,
        },
        {"role": "tool", "content": "off", "tool_call_id": "u1", "for": "user", "t": 2.0},
        {"role": "user", "content": "It is off.", "t": 3.0},
        {
            "role": "assistant",
            "content": "",
            "usage": {"prompt_tokens": 200, "completion_tokens": 1},
            "t": 3.1,
        },
    ],
}
OWN_DOMAIN = {
    "domain": "lamps",
    "policy": "Be bright.",
    "tools": [{"name": "look", "description": "Look.", "read_only": True, "parameters": {"type": "object"}}],
}


@pytest.fixture
def tau2_runs() -> Path:
    """The recorded tau2 runs."""
    data = Path(os.environ.get("TRIMTAB_DATA", ROOT / ".." / "shared" / "data"))
    path = data / "tau2_traces" / "runs.jsonl.gz"
    if not path.exists():
        pytest.skip(f"recorded runs are not here: {path} (set TRIMTAB_DATA)")
    return path


@pytest.fixture
def own_runs(tmp_path: Path) -> Path:
    """A file with one recorded run, its domain beside it."""
    (tmp_path / "domains.jsonl").write_text(json.dumps(OWN_DOMAIN) + "\n", encoding="utf-8")
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(OWN_RUN) + "\n", encoding="utf-8")
    return path


def own_export(**changes: object) -> dict[str, object]:
    """A line as `trimtab traces export` writes it."""
    line = {
        "agent": "helper",
        "domain": "lamps",
        "task": "t1",
        "trial": 0,
        "reward": None,
        "agent_cost_usd": 0.0001,
        "duration_s": 2.5,
        "end": "",
        "messages": [
            {"role": "system", "content": "Be dim.", "t": 0.0},
            {"role": "assistant", "content": "said elsewhere"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}], "t": 0.0},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a1", "name": "look", "arguments": {"_raw": "not json"}}],
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 20,
                    "cached_tokens": 60,
                    "cache_write_tokens": 10,
                    "reasoning_tokens": 5,
                },
                "cost_usd": 0.0001,
                "t": 1.0,
                "step": "triage",
                "model": "claude-sonnet-4-5",
                "endpoint": "near",
                "seconds": 0.5,
            },
            {"role": "tool", "content": "fine", "tool_call_id": "a1", "t": 1.0, "cost_usd": 0.01},
            {
                "role": "assistant",
                "content": "Done.",
                "usage": {"prompt_tokens": 150, "completion_tokens": 2},
                "cost_usd": 0.0001,
                "t": 2.5,
                "seconds": 1.0,
                "certainty": "estimated",
            },
        ],
        "run": "r-1",
        "thread": 0,
        "tenant": "acme",
        "user": "ann",
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
        "entries": [{"kind": "tool", "what": "search", "cost_usd": 0.001}],
    }
    return line | changes


@pytest.fixture
def exported_runs(own_runs: Path) -> Path:
    """Our own export beside a domains file: a run of two threads, and one whose content was not kept."""
    lines = [
        own_export(),
        own_export(thread=1, messages=[{"role": "assistant", "content": "Sub.", "t": 3.0}], entries=[]),
        own_export(task="t2", run="r-2", messages=[], note="no conversation: its content was not kept"),
    ]
    own_runs.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return own_runs
