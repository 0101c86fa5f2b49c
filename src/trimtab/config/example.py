"""The starter file that `trimtab init` writes: every table once, commented, usable as it stands."""

from importlib.resources import files


def example_toml() -> str:
    """The text of a trimtab.toml to start from."""
    return files("trimtab.config").joinpath("starter.toml").read_text(encoding="utf-8")
