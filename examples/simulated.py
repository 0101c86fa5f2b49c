"""The simulated models of the examples, on this machine and without a key: the demo's expert and the clerk.

    python examples/simulated.py            # serves them where workflows.toml looks for them, until Ctrl-C

No model runs: every answer is simulated. `python examples/play.py` starts them by itself.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from clerk import clerk_app
from starlette.applications import Starlette
from starlette.routing import Mount

from trimtab.app import House, open_house
from trimtab.config import load_text
from trimtab.simulation import LocalServer, expert_app

PORT = 8901
CONFIG = Path(__file__).with_name("workflows.toml")


def models_app() -> Starlette:
    """Both models, each below a path of its own."""
    return Starlette(routes=[Mount("/expert", expert_app()), Mount("/clerk", clerk_app())])


def settings_text(url: str, data: Path) -> str:
    """workflows.toml with the models at another URL and the data in another folder."""
    text = CONFIG.read_text().replace(f"http://127.0.0.1:{PORT}", url)
    return text.replace('data = "trimtab-data/examples"', f'data = "{data}"')


@asynccontextmanager
async def staged(data: Path) -> AsyncIterator[House]:
    """A house that hosts the examples, with simulated models beside it; it is gone when the block is left."""
    async with (
        LocalServer(models_app()) as models,
        open_house(load_text(settings_text(models.url, data), "", {})) as house,
    ):
        yield house


async def main() -> None:
    """Serve until interrupted."""
    async with LocalServer(models_app(), PORT) as models:
        sys.stdout.write(f"simulated models at {models.url}; no model runs, every answer is simulated\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
