"""`trimtab serve` and `trimtab init`."""

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import Config


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    data: Annotated[str | None, typer.Option(help="Folder of the journal and the SQLite file.")] = None,
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C."""
    import logging

    import msgspec

    from trimtab.app import load_config
    from trimtab.app.serve import serve as run
    from trimtab.config import Key

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("httpx", "httpx2"):
        # They tell of every call, those that hosted graphs make in process too.
        logging.getLogger(library).setLevel(logging.WARNING)
    loaded = load_config(config)
    given = {"host": host, "port": port, "data": data}
    server = msgspec.structs.replace(
        loaded.settings.server, **{name: value for name, value in given.items() if value is not None}
    )
    settings = msgspec.structs.replace(loaded.settings, server=server)
    if not settings.endpoint:
        typer.echo(
            "trimtab: no [[endpoint]] is configured; `trimtab init` writes a file to start from", err=True
        )
    options: dict[Key, str] = {
        ("server", name): f"--{name}" for name, value in given.items() if value is not None
    }
    source = msgspec.structs.replace(loaded.source, variables=loaded.source.variables | options)
    run(
        msgspec.structs.replace(loaded, settings=settings, source=source),
        lambda url: typer.echo(f"serving {url}"),
    )


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("trimtab.toml"),
) -> None:
    """Write a commented settings file to start from."""
    from trimtab.config import example_toml
    from trimtab.core.errors import ConfigError

    if path.exists():
        raise ConfigError("the file is there already; name another one", file=str(path))
    path.write_text(example_toml())
    typer.echo(f"wrote {path}")
