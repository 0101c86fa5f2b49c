"""`trimtab worker`: drive runs of hosted workflows, without a gateway."""

from typing import Annotated

import typer

from trimtab.cli.options import Config


def worker(
    partition: Annotated[
        list[str] | None,
        typer.Option(
            help="Drive runs of this partition (`[[tenant]] partition`); may be given several times."
        ),
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs to drive at once.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Show /healthz and /metrics there; 0 picks one.")
    ] = None,
    config: Config = None,
) -> None:
    """Drive runs until SIGTERM or Ctrl-C; steps under way end first, a second Ctrl-C ends them too."""
    import logging

    import msgspec

    from trimtab.app import load_config

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("httpx", "httpx2"):
        # They tell of every call, those that hosted graphs make in process too.
        logging.getLogger(library).setLevel(logging.WARNING)
    loaded = load_config(config)
    given = {"runs": runs, "partitions": tuple(partition) if partition else None}
    hosting = msgspec.structs.replace(
        loaded.settings.hosting, **{name: value for name, value in given.items() if value is not None}
    )
    settings = msgspec.structs.replace(loaded.settings, hosting=hosting)
    from trimtab.app.worker import work

    work(msgspec.structs.replace(loaded, settings=settings), port, typer.echo)
