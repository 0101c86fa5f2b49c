"""Recorded steps as plans, and files that cannot be used."""

import gzip
import os
from pathlib import Path

import msgspec
import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.simulation.cluster import GIVEN, Cut, profile, read_cluster, read_sessions

DATA = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[4] / "shared" / "data")) / "agent_steps"


def line(run, step, **fields):
    told = {
        "run": run,
        "sess": run.split(".")[0],
        "step": step,
        "deps": [],
        "in": 1_000,
        "out": 10,
        "gap": 0.5,
    }
    return msgspec.json.encode({**told, **fields}) + b"\n"


def test_runs_of_a_session_follow_each_other_and_deps_hang_together(tmp_path):
    path = tmp_path / "steps.jsonl.gz"
    rows = [
        line("s.1", 0, gap=90),
        line("s.1", 1, deps=[0]),
        line("s.1", 2, deps=[0], cls="coding.sub.Explore"),
        line("s.1", 3, deps=[1, 2], share_tok=5_000),
        line("s.2", 0, gap=900),
    ]
    path.write_bytes(gzip.compress(b"".join(rows)))
    (session,) = read_sessions(path)
    first, second = session.runs
    assert [step.parents for step in first.steps] == [(), (0,), (0,), (1, 2)]
    assert first.steps[0].children == (1, 2)
    assert (first.steps[2].tolerant, first.steps[3].shared_tokens) == (True, 999)
    assert (first.think_seconds, first.gap_seconds, second.think_seconds) == (90, 1.0, 120.0)


def test_a_session_is_cut_at_a_run_that_is_too_long(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_bytes(line("s.1", 0) + line("s.2", 0, **{"in": 9_000}) + line("t.1", 0, **{"in": 9_000}))
    (session,) = read_sessions(path, Cut(5_000, 10))
    assert len(session.runs) == 1
    with pytest.raises(DataError, match="raise it"):
        read_sessions(path, Cut(10, 10))


@pytest.mark.parametrize("text", [b"{", b'{"run": "a"}\n', b"\x1f\x8bnot gzip"])
def test_a_damaged_file_is_named_with_its_line(tmp_path, text):
    path = tmp_path / ("steps.jsonl.gz" if text[:1] == b"\x1f" else "steps.jsonl")
    path.write_bytes(text)
    with pytest.raises(DataError, match="steps.jsonl"):
        read_sessions(path)


def test_the_recorded_sets_are_read():
    if not DATA.is_dir():
        pytest.skip(f"recorded steps are not here: {DATA} (set TRIMTAB_DATA)")
    assert len(read_sessions(DATA / "service.jsonl.gz")) == 379
    assert len(read_sessions(DATA / "coding.jsonl.gz", Cut(60_000, 150))) == 39


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "server"),
        ("[[server]]\ngpu = 'H100'\ngpu_count = 4", "gpu_count"),
        ("[[server]]\ngpu = 'B200'", r"server\[0\].gpu: 'B200' is unknown; there are H100"),
        ("[[server]]\ngpu = 'A10G'", "does not fit on 1 x A10G"),
        ("[[server]", "no TOML"),
        ("[[server]]\ngpu = 'H100'\ngpus = 4\n[workload]\nseconds = -1", "workload.seconds"),
    ],
)
def test_a_cluster_that_cannot_be_says_where_and_why(tmp_path, text, said):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_cluster(path)


def test_what_was_not_measured_says_so():
    assert profile("H100", "llama-70b", "fp16", 4).source != GIVEN
    given = profile("L40S", "llama-8b", "int4", 1)
    assert given.source == GIVEN
    assert given.kv_tokens > 100_000


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_the_figures_that_are_given_come_near_the_profiles(gpus):
    """What is worked out from data sheets, beside what was measured."""
    measured = profile("H100", "llama-70b", "fp16", gpus).speed
    given_base = 140e9 / (gpus * 3.35e12 * 0.70)
    given_prefill = 140e9 / (0.64 * gpus * 989e12)
    assert given_base == pytest.approx(measured.base_seconds, rel=0.20)
    assert given_prefill == pytest.approx(measured.prefill_seconds, rel=0.10)
