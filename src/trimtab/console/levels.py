"""A controller's figures as tables: what each of its levels covers, how sure it was, who agreed with it. Pure."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from trimtab.controllers import ABSTAINED, BINS, WHOLE, Drift, Manifest, Profile, bin_text, drift_of
from trimtab.store import TallyMode, TallyRow

_MODES: dict[TallyMode, str] = {
    "served": "In the model's place",
    "shadow": "Beside the model",
    "champion": "Beside the version that serves",
}
_STEP_MODES = ("eager", "exact")
_MOST_OPTIONS = 60


class LevelLine(msgspec.Struct, frozen=True):
    """One level of a stack, or one mode of a step controller, on held-out runs; None is not said by the package."""

    name: str
    threshold: float | None
    answered: float | None
    precision: float | None
    accuracy: float | None
    milliseconds: float | None


class BinLine(msgspec.Struct, frozen=True):
    """Decisions in one bin of confidence. `validated` is its share in validation, `decided` how many there were."""

    confidence: str
    validated: float | None
    decided: int
    judged: int
    agreed: int


class ModeTable(msgspec.Struct, frozen=True):
    """All decisions of one mode, by confidence."""

    title: str
    decided: int
    judged: int
    agreed: int
    bins: list[BinLine]


class OptionLine(msgspec.Struct, frozen=True):
    """Decisions for one tool or label."""

    mode: str
    option: str
    decided: int
    judged: int
    agreed: int


def level_lines(manifest: Manifest) -> list[LevelLine]:
    """Level by level, from what the package says of itself; last all of them together, where that is told."""
    figures = manifest.metrics | (manifest.report.metrics if manifest.report else {})
    own = _STEP_MODES if manifest.kind == "step" else manifest.levels
    lines = [
        _level(name, manifest.thresholds.get(name), figures)
        for name in dict.fromkeys((*own, *manifest.thresholds))
    ]
    if "answered" in figures:
        whole = figures.get("answered"), figures.get("precision"), None, figures.get("milliseconds a text")
        lines.append(LevelLine("all levels", None, *whole))
    return lines


def _level(name: str, threshold: float | None, figures: dict[str, float]) -> LevelLine:
    accuracy = figures.get(f"accuracy of {name}", figures.get(f"accuracy of {name} alone"))
    # A variant is called `int8:mixed`, its level `int8-mixed`.
    times = {key.replace(":", "-"): value for key, value in figures.items() if key.endswith(": milliseconds")}
    return LevelLine(
        name,
        threshold,
        figures.get(f"{name}_saved"),
        figures.get(f"{name}_precision"),
        accuracy,
        times.get(f"{name}- milliseconds"),
    )


def mode_tables(manifest: Manifest | None, rows: Sequence[TallyRow]) -> list[ModeTable]:
    """A table for each mode that has decided anything, every bin in it."""
    profile = None if manifest is None else manifest.profile
    whole = [row for row in rows if row.option == WHOLE]
    return [
        _mode(mode, [row for row in whole if row.mode == mode], profile)
        for mode in _MODES
        if _has(whole, mode)
    ]


def _has(rows: Sequence[TallyRow], mode: TallyMode) -> bool:
    return any(row.mode == mode for row in rows)


def _mode(mode: TallyMode, rows: Sequence[TallyRow], profile: Profile | None) -> ModeTable:
    bins = [_bin(bin, [row for row in rows if row.bin == bin], profile) for bin in (ABSTAINED, *range(BINS))]
    return ModeTable(
        _MODES[mode],
        sum(line.decided for line in bins),
        sum(line.judged for line in bins),
        sum(line.agreed for line in bins),
        bins,
    )


def _bin(bin: int, rows: Sequence[TallyRow], profile: Profile | None) -> BinLine:
    validated = None
    if profile is not None and profile.calls:
        validated = (profile.abstained if bin == ABSTAINED else profile.answered[bin]) / profile.calls
    return BinLine(
        bin_text(bin),
        validated,
        sum(row.decided for row in rows),
        sum(row.judged for row in rows),
        sum(row.agreed for row in rows),
    )


def option_lines(rows: Sequence[TallyRow]) -> list[OptionLine]:
    """By tool or label, the most decided first; at most sixty."""
    decided, judged, agreed = (
        Counter[tuple[TallyMode, str]](),
        Counter[tuple[TallyMode, str]](),
        Counter[tuple[TallyMode, str]](),
    )
    for row in rows:
        if row.option and row.option != WHOLE:
            key = (row.mode, row.option)
            decided[key] += row.decided
            judged[key] += row.judged
            agreed[key] += row.agreed
    return [
        OptionLine(_MODES[mode], option, number, judged[mode, option], agreed[mode, option])
        for (mode, option), number in decided.most_common(_MOST_OPTIONS)
    ]


def drift_in(manifest: Manifest | None, rows: Sequence[TallyRow]) -> Drift | None:
    """How far it has moved from its validation, over all processes and modes; None where that cannot be told."""
    if manifest is None or manifest.profile is None:
        return None
    bins: Counter[int] = Counter()
    for row in rows:
        if row.option == WHOLE:
            bins[row.bin] += row.decided
    return drift_of(manifest.profile, Profile(bins[ABSTAINED], tuple(bins[bin] for bin in range(BINS))))
