"""Recorders, closed at the end."""

import pytest

from simulation.whatif.recorder import Recorder, toml


@pytest.fixture
def recorders(tmp_path):
    """Makes recorders of settings: `recorder = recorders(toml())`."""
    made = []

    def make(text=None):
        made.append(Recorder(tmp_path / f"store{len(made)}", text or toml()))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


@pytest.fixture
def recorder(recorders):
    return recorders()
