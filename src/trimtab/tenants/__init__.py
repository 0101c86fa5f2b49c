"""Tenants: their keys, roles and limits."""

from trimtab.tenants.keyring import LOCAL, KeyFacts, Keyring, digest_of
from trimtab.tenants.making import KEY_PREFIX, create_key, limit_key

__all__ = ["KEY_PREFIX", "LOCAL", "KeyFacts", "Keyring", "create_key", "digest_of", "limit_key"]
