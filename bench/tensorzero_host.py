"""Runs TensorZero's embedded gateway until killed and writes its base URL to a file: CONFIG URL_FILE.

Run by the Python of TensorZero's own environment; no observability, so no database behind it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path


async def host(config: str, url_file: Path) -> None:
    """Start the gateway on a port of its choosing."""
    package = importlib.import_module("tensorzero")
    gateway = await package._start_http_gateway(
        config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=True
    )
    url_file.write_text(gateway.base_url)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(host(sys.argv[1], Path(sys.argv[2])))
