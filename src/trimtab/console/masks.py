"""What must not stand on a page: keys, passwords, and what URLs carry of them. Pure."""

import re

HIDDEN = "***"
_USERINFO = re.compile(r"(\w[\w+.-]*://).*@", re.DOTALL)
_BEHIND = re.compile(r"(\w[\w+.-]*://[^\s?#]*)[?#].*", re.DOTALL)
_KEYS = re.compile(r"\b(?:tt|sk|pk|rk)-[\w-]{16,}")
_PARTS = re.compile(r"[^a-z0-9]+")
_SECRET = frozenset(
    ("secret", "secrets", "password", "passwd", "passphrase", "token", "key", "keys", "apikey", "auth")
    + ("authorization", "credential", "credentials", "cookie")
)


def masked(text: str) -> str:
    """A text without the user's part and the query of a URL in it, and without what looks like an API key. Rather too
    much is hidden than too little."""
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _BEHIND.sub(rf"\1?{HIDDEN}", text)
    return _KEYS.sub(HIDDEN, text)


def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret. One that ends in `_env` names a variable instead."""
    words = _PARTS.split(name.lower())
    return words[-1] != "env" and not _SECRET.isdisjoint(words)
