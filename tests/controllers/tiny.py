"""Controllers that follow a script of rules: for tests of what is built around the learned ones.

A rule is `{"when": text, "calls": [[name, arguments], ...] or "label": text, "confidence": number}`; the first whose
`when` stands in what the user said last is followed.
"""

import json
import time
from collections import Counter

from trimtab.controllers import Answer, Manifest, Profile, Report, ToolCall, last_said

PASSED = Report(passed=True, digest="abc123", held_out="other tasks", metrics={"precision": 0.99})


class Hesitant(Counter):
    """A counter that lets other threads run between reading and writing, as any interpreter may."""

    def __getitem__(self, key):
        value = super().get(key, 0)
        time.sleep(0)
        return value


def tiny(folder, _bench):
    """The loader: a function from questions to answers."""
    rules = json.loads((folder / "rules.json").read_text())

    def decide(question):
        text = question.text or last_said(question.conversation)
        for rule in rules:
            if rule["when"] in text:
                time.sleep(rule.get("seconds", 0))
                if rule.get("breaks"):
                    raise ValueError("broken by its script")
                calls = tuple(ToolCall(name, arguments) for name, arguments in rule.get("calls", ()))
                option = rule.get("label") or " + ".join(call.name for call in calls)
                return Answer("", "", "step", option, rule.get("confidence", 0.99), False, calls, "rules")
        return Answer("", "", "step", reasons=("no rule fits",))

    return lambda questions: [decide(each) for each in questions]


def tiny_loaders():
    """The loader table with the tiny one for every kind."""
    return dict.fromkeys(("step", "route", "verify", "classify", "gate"), tiny)


def manifest(kind="step", workflow="support", version="1", **more):
    return Manifest(kind=kind, workflow=workflow, version=version, created=1_790_000_000.0, **more)


def pack(registry, folder, rules, kind="step", workflow="support", version="1", **more):
    """A package with these rules in the registry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.json").write_text(json.dumps(rules))
    thresholds = {"eager": 0.9, "exact": 0.9} if kind == "step" else {"rules": 0.9}
    more = {"report": PASSED, "profile": Profile(50, (0,) * 10 + (50,)), "thresholds": thresholds} | more
    return registry.add(folder, manifest(kind, workflow, version, **more))
