"""Tenants: their keys, roles and limits."""

from trimtab.tenants.keyring import KEY_PREFIX, LOCAL, KeyFacts, Keyring, create_key, digest_of

__all__ = ["KEY_PREFIX", "LOCAL", "KeyFacts", "Keyring", "create_key", "digest_of"]
