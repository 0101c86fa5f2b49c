"""Pages as HTML: Jinja templates with everything escaped, and the two files that go with them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from trimtab.console import words
from trimtab.console.visitor import Visitor

ROOT = "/console"
_HERE = Path(__file__).parent
_KINDS = {
    "icon.svg": "image/svg+xml",
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
}
_YEAR = 31_536_000
# (path, title, whether it is the house's own and so for admins only)
NAVIGATION = (
    ("", "Now", False),
    ("/runs", "Runs", False),
    ("/costs", "Costs", False),
    ("/frontier", "Frontier", False),
    ("/inbox", "Inbox", False),
    ("/endpoints", "Endpoints", True),
    ("/budgets", "Budgets & keys", False),
    ("/controllers", "Controllers", True),
    ("/settings", "Settings", True),
)


def link(path: str, **query: object) -> str:
    """A path of the console with a query; what is None or empty is left out."""
    asked = {name: value for name, value in query.items() if value is not None and value != ""}
    return f"{ROOT}{path}" + (f"?{urlencode(asked)}" if asked else "")


class Sheets:
    """Constructed once. Templates are read from this room's folder."""

    def __init__(self) -> None:
        self._static = {name: (_HERE / "static" / name).read_bytes() for name in _KINDS}
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._environment.filters |= {
            name: getattr(words, name) for name in ("usd", "exact", "span", "when", "count", "named")
        }
        version = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._environment.globals |= {
            "link": link,
            "share": words.share,
            "root": ROOT,
            "version": version,
            "navigation": NAVIGATION,
        }

    def text(self, template: str, facts: Mapping[str, Any]) -> str:
        """A template filled in."""
        return self._environment.get_template(f"{template}.html").render(facts)

    def page(
        self, template: str, visitor: Visitor | None, title: str, http_status: int = 200, /, **facts: object
    ) -> Response:
        """A whole page."""
        text = self.text(template, {"visitor": visitor, "title": title, **facts})
        return HTMLResponse(text, http_status)

    def static(self, name: str) -> Response | None:
        """A file that goes with the pages; None where there is no such one."""
        content = self._static.get(name)
        if content is None:
            return None
        return Response(
            content, media_type=_KINDS[name], headers={"cache-control": f"max-age={_YEAR}, immutable"}
        )
