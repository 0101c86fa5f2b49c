"""What level 0 and level 1 of a text controller take: time beside the arithmetic peak, rates, start-up, disk.

    python -m bench.controllers [--quick] [--folder DIR]

Without `--folder` a base encoder in int8 is made from the default weights first (needs trimtab[learn]); with it, that
one is measured as it serves. One thread, one text at a time where nothing else is said. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops

from bench.texts import load_set
from trimtab.controllers import Answer, Conversation, Decided, Question
from trimtab.controllers.door import Door
from trimtab.engines import Encoder, load_encoder

SERVE_ONLY = ("numpy", "openvino", "openvino-telemetry", "tokenizers", "msgspec")
SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
    "INFERENCE_PRECISION_HINT": "f32",
}


def best_seconds(work: Callable[[], object], budget_seconds: float) -> tuple[float, float]:
    """(10th percentile of CPU time, median of wall time) of many runs. CPU time is what the work takes on one core
    even while other processes want it too; on a machine left alone both are the same.
    """
    work()
    took, waited = [], []
    until = time.perf_counter() + budget_seconds
    while time.perf_counter() < until or len(took) < 8:
        begun, spent = time.perf_counter(), time.process_time()
        work()
        took.append(time.process_time() - spent)
        waited.append(time.perf_counter() - begun)
    return float(np.percentile(took, 10)), float(np.median(waited))


def int8_peak(budget_seconds: float) -> float:
    """Operations a second of the best of some int8 matrix products on one thread, two for a multiply-add."""
    rates = []
    for rows, inner, columns in ((512, 384, 1536), (512, 1024, 1024), (1024, 384, 1536)):
        left = ops.parameter([rows, inner], np.float32)
        whole = np.random.default_rng(0).integers(-127, 128, (columns, inner)).astype(np.int8)
        right = ops.multiply(
            ops.convert(ops.constant(whole), "f32"), ops.constant(np.full((columns, 1), 1 / 127, np.float32))
        )
        low, high = np.float32(-1), np.float32(1 - 2 / 256)
        product = ops.matmul(ops.fake_quantize(left, low, high, low, high, 256), right, False, True)
        request = (
            openvino.Core()
            .compile_model(openvino.Model([product], [left]), "CPU", SETTINGS)
            .create_infer_request()
        )
        values = np.random.default_rng(1).random((rows, inner), np.float32)
        seconds, _ = best_seconds(
            lambda r=request, v=values: r.infer([v], share_inputs=True, share_outputs=True), budget_seconds
        )
        rates.append(2 * rows * inner * columns / seconds)
    return max(rates)


def operations(tokens: int, width: int, layers: int, inner: int) -> float:
    """Of one forward pass: products with weights and of attention, two for a multiply-add."""
    return layers * (2 * tokens * (4 * width * width + 2 * width * inner) + 4 * tokens * tokens * width)


def level_1(folder: Path, budget_seconds: float) -> list[tuple[str, ...]]:
    """Milliseconds and multiples of the floor, at 32 and 128 tokens, and the rate in batches of 32 tokens."""
    encoder = load_encoder(folder)
    width, layers = encoder.described.width, encoder.described.layers
    rows: list[tuple[str, ...]] = []
    chosen = random.Random(0)
    for tokens, batch in ((32, 1), (128, 1), (32, 16)):

        def work(tokens: int = tokens, batch: int = batch) -> None:
            encoder.encode([" ".join(chosen.choices(COMMON, k=tokens - 2)) for _ in range(batch)])

        peak = int8_peak(budget_seconds / 4)
        least, median = (each / batch for each in best_seconds(work, budget_seconds))
        floor = operations(tokens, width, layers, 4 * width) / peak
        rows.append(
            (
                f"{tokens} tokens, batch {batch}",
                f"{1e3 * least:.2f}",
                f"{1e3 * median:.2f}",
                f"{1e3 * floor:.2f}",
                f"{least / floor:.2f}",
                f"{1 / least:.0f}",
                f"{peak / 1e9:.0f}",
            )
        )
    return rows


def at_work(folder: Path, budget_seconds: float) -> list[tuple[str, ...]]:
    """Calls of 32 tokens as a gateway asks them, from the event loop through the door to the encoder's thread: a lone
    call, and 64 that come at once; one at a time, and what waits together."""
    encoder, chosen = load_encoder(folder), random.Random(0)
    rows = []
    for calls in (1, 64):
        for name, most_at_once in (("one at a time", 1), ("what waits goes in together", 16)):
            waits, spans = asyncio.run(_ask_at_once(encoder, chosen, calls, most_at_once, budget_seconds))
            shown = (np.percentile(waits, 50), np.percentile(waits, 95), np.median(spans))
            rows.append((f"{calls} at once", name, *(f"{1e3 * each:.2f}" for each in shown)))
    return rows


async def _ask_at_once(
    encoder: Encoder, chosen: random.Random, calls: int, most_at_once: int, budget_seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds that each call waited, and that each burst took in all."""
    said = Decided(Answer("", "", "classify"))

    def work(questions: Sequence[Question]) -> list[Decided | Exception]:
        encoder.encode([each.text for each in questions])
        return [said] * len(questions)

    async def ask(text: str) -> float:
        begun = time.perf_counter()
        await door.ask(Question(Conversation(()), text), 60)
        return time.perf_counter() - begun

    waits: list[float] = []
    spans: list[float] = []
    with ThreadPoolExecutor(1) as thread:
        door = Door(work, thread, most_at_once=most_at_once)
        until = time.perf_counter() + budget_seconds
        while time.perf_counter() < until or len(spans) < 4:
            texts = [" ".join(chosen.choices(COMMON, k=30)) for _ in range(calls)]
            begun = time.perf_counter()
            waits += await asyncio.gather(*(ask(text) for text in texts))
            spans.append(time.perf_counter() - begun)
    return waits, spans


# One token each in the vocabulary of uncased BERT encoders.
COMMON = (
    *("the", "of", "and", "to", "in", "was", "is", "for", "on", "as", "with", "by"),
    *("he", "at", "from", "his", "it", "an", "were", "which", "are", "this", "be", "had", "also"),
)


def level_0(budget_seconds: float) -> list[tuple[str, ...]]:
    """Microseconds a text of TF-IDF and logistic regression, tokenising included, on banking77."""
    from trimtab.learning.linear import train_linear

    training, test = load_set("banking77")
    model = train_linear({"intent": training[::3]})
    rows = []
    texts = [each.text for each in test]
    for name, several in (
        ("as they come", texts),
        ("30 words", [" ".join(" ".join(texts[at : at + 6]).split()[:30]) for at in range(0, 600, 6)]),
        ("2,000 characters", [" ".join(texts[at : at + 60])[:2_000] for at in range(0, 600, 60)]),
        ("100,000 characters (2,000 read)", [" ".join(texts)[:100_000]] * 10),
    ):
        took = []
        for text in several[:500]:
            begun = time.process_time()
            model.logits(text)
            took.append(1e6 * (time.process_time() - begun))
        rows.append((name, *(f"{np.percentile(took, each):.0f}" for each in (50, 95, 99))))
    return rows


def start_up(folder: Path) -> list[tuple[str, ...]]:
    """Seconds from the start of a new process until the encoder is warm, with and without compiled code kept."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for name, kept in (
            ("first start", "None"),
            ("code kept: first", repr(cache)),
            ("code kept: next", repr(cache)),
        ):
            code = (
                "import time; begun = time.perf_counter()\n"
                "from pathlib import Path\nfrom trimtab.engines import load_encoder\nread = time.perf_counter()\n"
                f"cache = {kept}\nload_encoder(Path({str(folder)!r}), cache=Path(cache) if cache else None)\n"
                "print(read - begun, time.perf_counter() - begun)"
            )
            begun = time.perf_counter()
            out = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout
            imported, ready = (float(each) for each in out.split())
            rows.append((name, f"{imported:.2f}", f"{ready:.2f}", f"{time.perf_counter() - begun:.2f}"))
    return rows


def on_disk() -> list[tuple[str, ...]]:
    """Megabytes of what serving controllers installs."""
    rows, total = [], 0.0
    for name in SERVE_ONLY:
        files = importlib.metadata.files(name) or []
        megabytes = (
            sum(path.stat().st_size for each in files if (path := Path(str(each.locate()))).is_file()) / 1e6
        )
        total += megabytes
        rows.append((name, f"{megabytes:.0f}"))
    return [*rows, ("together", f"{total:.0f}")]


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter measurements")
    parser.add_argument("--folder", type=Path, help="an encoder's folder to measure")
    asked = parser.parse_args()
    budget = 0.4 if asked.quick else 2.0
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or Path(made) / "base"
        if not asked.folder:
            from trimtab.learning.text_variants import write_base

            write_base(folder, [each.text for each in load_set("banking77")[0][:300]])
        table("Level 0, µs a text", ("text", "p50", "p95", "p99"), level_0(budget))
        heads = (
            "text",
            "CPU ms",
            "wall ms (median)",
            "floor ms",
            "times the floor",
            "texts/s a core",
            "int8 peak, Gop/s",
        )
        table("Level 1, one thread", heads, level_1(folder, budget))
        served = ("calls", "how", "p50 ms", "p95 ms", "all done, ms")
        table("Level 1 at work, one thread", served, at_work(folder, budget))
        table("Start, s", ("", "imports", "ready", "whole process"), start_up(folder))
    table("Installed to serve, MB", ("package", "MB"), on_disk())


if __name__ == "__main__":
    main()
