"""The model of the made-up desk, learned once for the whole session."""

import pytest

from learning import lending


@pytest.fixture(scope="session")
def desk_model():
    return lending.trained()
