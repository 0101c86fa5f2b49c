"""A text controller's folder from labelled texts in one call: split, level 0, encoder, compression, calibration.

For several heads on one encoder; `text_course.py` does the same for one head, stage by stage, with an exam.
"""

from collections.abc import Sequence
from pathlib import Path

from trimtab.controllers import Level, TextDescription, TextHead
from trimtab.core.errors import DataError
from trimtab.learning.adapt import Progress
from trimtab.learning.compress import compress
from trimtab.learning.labelled import split, tuning
from trimtab.learning.linear import train_linear
from trimtab.learning.text_calibration import Unseen, calibrate_controller
from trimtab.learning.text_task import HeadTask, Settings, TextStage
from trimtab.learning.text_variants import fit, judge, own_levels, shared_levels
from trimtab.learning.variant import Judged

LINEAR = "linear.npz"


def learn_text(
    name: str,
    version: str,
    tasks: Sequence[HeadTask],
    folder: Path,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Judged, ...]:
    """A controller's folder; the encoder is trained on the first task, the others read it.

    An interrupted course goes on after its last whole epoch. Returns the variants tried.
    """
    stage = begin(tasks, folder, settings or Settings(), progress)
    linear = train_linear({task.name: kept for task, kept in zip(tasks, stage.kept, strict=True)})
    linear.save(folder / LINEAR)
    encoder_levels, judged = _encoder_levels(stage)
    levels = (Level("linear", {}, file=LINEAR), *encoder_levels)
    heads = tuple(TextHead(task.name, task.kind, task.labels, task.outside) for task in tasks)
    unseen = {task.name: Unseen(held) for task, held in zip(tasks, stage.held, strict=True)}
    described = TextDescription(name, version, heads, levels)
    calibrate_controller(folder, described, unseen, stage.settings.promise)
    return judged


def begin(
    tasks: Sequence[HeadTask], folder: Path, settings: Settings, progress: Progress | None = None
) -> TextStage:
    """Check the tasks and hold back texts by group.

    Raises:
        DataError: a task has fewer than two labels, or too few texts to hold any back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seed = settings.regimen.seed
    parts = [split(task.examples, settings.held_share, seed) for task in tasks]
    for task, (kept, held) in zip(tasks, parts, strict=True):
        if len(task.labels) < 2 or not held or {each.label for each in kept} != set(task.labels):
            raise DataError(
                f"{len(task.labels)} labels, {len(kept)} texts to learn from and {len(held)} to judge by",
                file=task.name,
                remedy="every label needs texts of several groups",
            )
    validation = [tuning(held, seed) for _, held in parts]
    return TextStage(
        tasks,
        [kept for kept, _ in parts],
        [tune for _, tune in validation],
        [held for held, _ in validation],
        folder,
        settings,
        progress,
    )


def _encoder_levels(stage: TextStage) -> tuple[list[Level], tuple[Judged, ...]]:
    settings = stage.settings
    if settings.regimen.mode == "full":
        source = fit(stage)
        return own_levels(settings, lambda variant: judge(stage, source, compress(source, variant)))
    if settings.shared is None:
        raise DataError(
            "needs a shared encoder", file="settings", field="shared", remedy="write one by write_base"
        )
    return shared_levels(stage, settings.shared)
