"""`trimtab console`."""

from typing import Annotated

import typer

from trimtab.cli.options import Config


def console(
    config: Config = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8090,
) -> None:
    """Serve the console alone, on the store that the settings name, until SIGTERM or Ctrl-C. A gateway has its own
    at /console."""
    import logging

    import msgspec

    from trimtab.app import load_config
    from trimtab.app.viewing import view

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    loaded = load_config(config)
    server = msgspec.structs.replace(loaded.settings.server, host=host, port=port)
    settings = msgspec.structs.replace(loaded.settings, server=server)
    view(msgspec.structs.replace(loaded, settings=settings), lambda url: typer.echo(f"console at {url}"))
