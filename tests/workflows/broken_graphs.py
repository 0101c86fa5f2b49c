"""A module that cannot be imported."""

raise RuntimeError("the model is not configured")
