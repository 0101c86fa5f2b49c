"""Houses that host graphs, as in the tests of workflows."""

from workflows.conftest import database, hosting, postgres

__all__ = ["database", "hosting", "postgres"]
