"""Names of recorded runs that said none of their own."""

import hashlib
import re

_LONGEST = 48
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def run_name(agent: str, domain: str, task: str, trial: int) -> str:
    """A run id fit for a header and a path: the same for the same run, another for another."""
    return ".".join((_plain(agent), _plain(domain), _plain(task), str(trial)))


def _plain(text: str) -> str:
    """Altered or shortened text gets a hash, so that no two become one."""
    plain = _ODD.sub("-", text).strip("-")
    if plain == text and len(plain) <= _LONGEST:
        return plain
    return f"{plain[:40]}-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"
