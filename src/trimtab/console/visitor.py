"""Who looks at the console: the key they came with, whose matters they may see, and the token their forms carry."""

from collections.abc import Mapping

import msgspec
from starlette.datastructures import QueryParams

from trimtab.core.errors import BadRequest, Forbidden
from trimtab.tenants import KeyFacts


class Visitor(msgspec.Struct, frozen=True):
    """One request. `token` stands in every form; `is_open`: nobody has to sign in on this machine;
    else `session` is the digest of the visitor's."""

    key: KeyFacts
    token: str
    is_open: bool
    path: str
    query: QueryParams
    form: Mapping[str, str] = {}
    session: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether all tenants' matters may be seen, and the house's own."""
        return self.key.role == "admin"

    @property
    def may_act(self) -> bool:
        """Whether runs may be ended and questions answered."""
        return self.key.role != "viewer"

    @property
    def name(self) -> str:
        """How acts are signed."""
        return self.key.user or self.key.id or "anonymous"

    @property
    def tenant(self) -> str | None:
        """Whose matters are shown: an admin's choice, None for all; else the key's own, whatever is asked for."""
        if not self.is_admin:
            return self.key.tenant
        return self.query.get("tenant") or None

    def owner(self, tenant: str) -> str:
        """A tenant that is asked for by name. Raises Forbidden."""
        if not self.is_admin and tenant != self.key.tenant:
            raise Forbidden(f"this key sees tenant {self.key.tenant!r} only", param="tenant")
        return tenant

    def asked(self, name: str) -> str:
        """A field of the form. Raises BadRequest where it is missing or empty."""
        text = self.form.get(name, "").strip()
        if not text:
            raise BadRequest(f"{name.replace('_', ' ')} is missing", param=name)
        return text
