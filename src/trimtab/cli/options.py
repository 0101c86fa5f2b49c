"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; default ./trimtab.toml if it is there."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
