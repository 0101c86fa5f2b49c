"""Whose runs a controller learns from: one tenant's, unless somebody says otherwise."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from trimtab.core.errors import DataError


class _Whose(msgspec.Struct):
    """All that is read of a line."""

    tenant: str = ""
    domain: str = ""


def of_one_tenant(lines: Iterable[bytes], workflow: str, source: str) -> Iterator[bytes]:
    """The same lines. Raises DataError after the last one if the workflow's runs are of several tenants."""
    decode = msgspec.json.Decoder(_Whose).decode
    runs: Counter[str] = Counter()
    for line in lines:
        yield line
        try:
            whose = decode(line)
        except msgspec.DecodeError:
            continue  # Whoever reads the line for what it says will say what is wrong with it.
        runs[whose.tenant] += whose.domain == workflow
    tenants = sorted(name for name, count in runs.items() if count)
    if len(tenants) > 1:
        shown = ", ".join(f"{name!r}" for name in tenants)
        raise DataError(
            f"runs of several tenants: {shown}", file=source, field="tenant",
            remedy="name one with --tenant, or say --all-tenants if one may learn from the others",
        )  # fmt: skip


def check_one_tenant(lines: Iterable[bytes], workflow: str, source: str) -> None:
    """The same where the lines themselves are not wanted."""
    for _ in of_one_tenant(lines, workflow, source):
        pass
