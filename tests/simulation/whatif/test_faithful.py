"""Calls that a real gateway routed, replayed under the settings that routed them: nothing moves, nothing costs else."""

import os
from pathlib import Path

import pytest

from trimtab.app.plays import demo_play, replay_play
from trimtab.app.stage import CONFIG_NAME, perform
from trimtab.app.whatif import what_if
from trimtab.store import Database, Selection, url_of
from trimtab.store.schema import entry

DATA = Path(os.environ.get("TRIMTAB_DATA", Path(__file__).parents[4] / "shared" / "data"))
RUNS = DATA / "tau2_traces" / "runs.jsonl.gz"


def quiet(*_):
    pass


def paid(folder):
    """All that stands in the ledger."""
    from sqlalchemy import func, select

    database = Database(url_of("sqlite", folder))
    total = database.read(lambda connection: connection.scalar(select(func.sum(entry.c.nanodollars))))
    database.close()
    return total


async def test_a_demo_replayed_under_its_own_settings_is_what_it_was(tmp_path):
    await perform(demo_play(24, 7, quiet), tmp_path)
    config = tmp_path / CONFIG_NAME
    report = what_if(config, config, None, Selection(), quiet)
    assert report.calls > 100
    assert report.moved == report.total.unseen == 0
    cost = report.total.new_nanodollars
    assert cost.low == cost.likely == cost.high == report.total.recorded_nanodollars == paid(tmp_path)
    assert report.completions.completed == report.completions.low == report.completions.high


@pytest.mark.skipif(not RUNS.is_file(), reason=f"recorded runs are not at {RUNS} (set TRIMTAB_DATA)")
async def test_recorded_runs_replayed_under_their_own_settings_are_what_they_were(tmp_path):
    await perform(replay_play(RUNS, ("claude-opus-4-6",), "plain", 0.0, 16, quiet), tmp_path)
    config = tmp_path / CONFIG_NAME
    report = what_if(config, config, None, Selection(), quiet)
    assert report.moved == 0
    cost = report.total.new_nanodollars
    assert cost.low == cost.likely == cost.high == report.total.recorded_nanodollars == paid(tmp_path)
    assert cost.likely == 10_547_140_000
