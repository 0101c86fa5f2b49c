"""What a known graph tells of a run: the longest path behind each step, and the work that is left. Pure.

Hosted workflows know their graph, the steps a node sent out (fan-out) included; an outside agent's run is a chain
whose end nobody knows, and is ordered by history instead.
"""

from collections.abc import Sequence


def paths_behind(children: Sequence[Sequence[int]], seconds: Sequence[float]) -> list[float]:
    """For each step, predicted seconds from its beginning to the end of the run along the longest path.

    Steps stand in an order in which parents come before children; `seconds[step]` is its own predicted time.
    Raises `ValueError` where a child stands before its parent. Source: critical path method (Kelley, Walker 1959).
    """
    behind = [0.0] * len(seconds)
    for step in range(len(seconds) - 1, -1, -1):
        following = children[step]
        if following and min(following) <= step:
            raise ValueError(f"step {step} comes after its child {min(following)}")
        behind[step] = seconds[step] + max((behind[child] for child in following), default=0.0)
    return behind
