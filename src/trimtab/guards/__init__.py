"""Guards over content: what may be stored of it."""

from trimtab.guards.redaction import redact

__all__ = ["redact"]
