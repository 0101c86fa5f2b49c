"""The page Settings: what this process goes by, key by key, and where each was set."""

from starlette.responses import Response

from trimtab.console.filters import kept, start_of
from trimtab.console.lines import setting_lines
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor

_PAGE = 300
_FIELDS = ("set", "find")


class SettingsPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/settings?set=1&find=&from=`: the effective configuration."""
        asked = visitor.query
        lines = setting_lines(self._premises.loaded)
        find = asked.get("find", "").strip()
        found = [
            line
            for line in lines
            if (line.source or not asked.get("set")) and find.lower() in line.key.lower()
        ]
        begin = start_of(asked)
        further = begin + _PAGE if len(found) > begin + _PAGE else None
        return self._premises.sheets.page(
            "settings",
            visitor,
            "Settings",
            rows=found[begin : begin + _PAGE],
            found=len(found),
            known=len(lines),
            begin=begin,
            asked=asked,
            first=link("/settings", **kept(asked, _FIELDS)),
            further=further and link("/settings", **kept(asked, _FIELDS), **{"from": further}),
            file=self._premises.loaded.source.file,
        )
