"""The critical path of a run: the chain of calls, each begun after the one before had ended, that took longest.

Reads a run's tree from stdin, as `trimtab run --json`, `trimtab runs show --json`, `trimtab traces show --json` and
GET /v1/runs/RUN tell it, and so works for runs of every workflow:

    trimtab runs show RUN --json | python examples/critical_path.py
"""

import json
import sys
from typing import Any, NamedTuple

_CLOCK_SECONDS = 0.001
"""Starts and lengths are taken from two clocks: so much they may disagree."""


class Link(NamedTuple):
    """One call: its step, when it began (epoch seconds), how long it took, who answered it."""

    step: str
    began: float
    seconds: float
    by: str

    @property
    def ended(self) -> float:
        return self.began + self.seconds


def links_of(tree: dict[str, Any]) -> list[Link]:
    """The calls of a run's tree; calls made on behalf of others are within those."""
    return [
        Link(step["name"], call["at"], call["seconds"], call["model"] or f"a {call['answered_by']}")
        for step in tree["steps"]
        for call in step["calls"]
    ]


def critical_path(links: list[Link]) -> list[Link]:
    """The longest chain by time spent in calls; what overlaps, such as a fan-out, gives it only its slowest."""
    ranked = sorted(links, key=lambda link: link.ended)
    chains: list[tuple[float, list[Link]]] = []
    for link in ranked:
        before = [chain for chain in chains if chain[1][-1].ended <= link.began + _CLOCK_SECONDS]
        seconds, path = max(before, key=lambda chain: chain[0], default=(0.0, []))
        chains.append((seconds + link.seconds, [*path, link]))
    return max(chains, key=lambda chain: chain[0], default=(0.0, []))[1]


def report(tree: dict[str, Any]) -> str:
    """The path for people: a line a call, beside how many calls its step made in all."""
    links = links_of(tree)
    path = critical_path(links)
    lasted = tree["last_at"] - tree["started_at"]
    spent, at_all = sum(link.seconds for link in path), sum(link.seconds for link in links)
    lines = [
        f"critical path of run {tree['id']}: {len(path)} of {len(links)} calls, {spent:.3f} s of {lasted:.3f} s; "
        f"one after the other all calls took {at_all:.3f} s"
    ]
    for link in path:
        lines.append(
            f"  +{link.began - tree['started_at']:.3f} s  {link.step:<12} {link.seconds:.3f} s  {link.by}"
        )
    return "\n".join(lines)


def tree_in(shown: dict[str, Any]) -> dict[str, Any] | None:
    """The run's tree, by itself or where `trimtab run` and `trimtab runs show` put it; None where it has no calls."""
    found: dict[str, Any] | None = shown.get("trace") if "trace" in shown else shown
    return found


if __name__ == "__main__":
    run = tree_in(json.load(sys.stdin))
    sys.stdout.write(report(run) + "\n" if run else "the run made no calls\n")
