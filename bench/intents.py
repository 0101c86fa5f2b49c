"""Accuracy of text controllers on intent sets, every variant beside TF-IDF: what is learned on the sets' training
part, judged on texts that neither training nor thresholds saw. Training stops by texts of its own (4 % of that part),
thresholds rest on others (8 %).

    python -m bench.intents [--quick] [--sets clinc150,banking77,snips] [--variants fp32,int8,...] [--folder DIR]

With clinc150 one threshold turns away what is out of scope; a text in scope that is turned away counts as wrong.
Interrupted, it goes on after the last whole epoch when `--folder` is the same. Some ten to fifteen minutes a set
on two cores left alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.controllers import best_seconds, table
from bench.texts import OUTSIDE, load_set
from trimtab.controllers import LinearModel, load_heads
from trimtab.engines import load_encoder
from trimtab.learning.adapt import Regimen
from trimtab.learning.calibrate import Held, Promise, calibrate, scored
from trimtab.learning.compress import compress
from trimtab.learning.labelled import Labelled
from trimtab.learning.linear import train_linear
from trimtab.learning.text import begin
from trimtab.learning.text_calibration import indices
from trimtab.learning.text_task import HeadTask, Settings
from trimtab.learning.text_variants import fit, judge
from trimtab.learning.variant import HEADS, VARIANTS, Variant, variant_folder

EPOCHS = {"clinc150": 4, "banking77": 6, "snips": 2}


def measure(name: str, variants: Sequence[Variant], folder: Path, epochs: int) -> list[tuple[str, ...]]:
    """One row a variant, level 0 first."""
    training, test = load_set(name)
    outside = OUTSIDE if any(each.label == OUTSIDE for each in training) else ""
    task = HeadTask("intent", "classify", training, outside)
    settings = Settings(Regimen(epochs=epochs, learning_rate=2e-4, patience=epochs), held_share=0.12)
    stage = begin([task], folder, settings)
    linear = train_linear({"intent": stage.kept[0]})
    held, right = stage.held[0], indices(task.labels, stage.held[0])
    rows = [("TF-IDF + LR", *judged(task, seen(linear, held), right, seen(linear, test), test), "", "")]
    source = fit(stage)
    for variant in variants:
        made = judge(stage, source, compress(source, variant))
        place = folder / variant_folder(variant)
        encoder = load_encoder(place)
        head = load_heads(place / HEADS, {"intent": len(task.labels)}, encoder.described.width)["intent"]
        both = [head.logits(encoder.encode([each.text for each in part])) for part in (held, test)]
        alone = judged(task, both[0], right, both[1], test)
        figures = judged(task, both[0], right, both[1], test, (seen(linear, held), seen(linear, test)))
        texts = iter([f"{each.text} {number}" for number in range(99) for each in test])
        milliseconds = 1e3 * best_seconds(lambda e=encoder, t=texts: e.encode([next(t)]), 1.0)[0]
        rows.append((f"{variant} alone", *alone, f"{made.megabytes:.1f}", f"{milliseconds:.2f}"))
        rows.append((f"{variant} + level 0", *figures, "", ""))
        print(*rows[-2:], sep="\n", file=sys.stderr, flush=True)
    return rows


def judged(
    task: HeadTask,
    held: NDArray[np.float32],
    right: NDArray[np.int64],
    test: NDArray[np.float32],
    examples: Sequence[Labelled],
    linear: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> tuple[str, str]:
    """(accuracy, recall of what is outside), with everything chosen on `held`."""
    chosen = calibrate(Held(held, linear[0] if linear else None, right), task.labels, task.outside, Promise())
    truth = indices(task.labels, examples)
    scores, hits = scored(Held(test, linear[1] if linear else None, truth), task.labels, task.outside, chosen)
    if not task.outside:
        return f"{hits.mean():.4f}", ""
    inside = truth != task.labels.index(task.outside)
    accepted = scores >= chosen.scope
    return f"{(hits & accepted)[inside].mean():.4f}", f"{(~accepted)[~inside].mean():.3f}"


def seen(linear: LinearModel, examples: Sequence[Labelled]) -> NDArray[np.float32]:
    """Level 0's logits."""
    return np.stack([linear.logits(each.text) for each in examples])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch, fp32 and int8 only")
    parser.add_argument("--sets", default="clinc150,banking77,snips")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--folder", type=Path, help="where to keep what is made")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    wanted = ["fp32", "int8"] if asked.quick else asked.variants.split(",")
    with tempfile.TemporaryDirectory() as made:
        for name in asked.sets.split(","):
            rows = measure(
                name, wanted, (asked.folder or Path(made)) / name, 1 if asked.quick else EPOCHS[name]
            )
            table(
                name, ("variant", "accuracy (in scope)", "recall out of scope", "MB", "CPU ms a text"), rows
            )


if __name__ == "__main__":
    main()
