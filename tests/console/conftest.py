"""Houses with a console, and guests of it."""

import pytest

from console.visiting import Guest
from workflows.conftest import hosting

__all__ = ["guests", "hosting"]


@pytest.fixture
async def guests():
    """Makes guests: `guest = guests(served)`, with `role` and `tenant` signed in: `await guests(served, "admin")`."""
    made = []

    async def come(served, role="", tenant="acme", user="ada"):
        guest = Guest(served.url)
        made.append(guest)
        if role:
            await guest.sign_in(await served.key(tenant, user, role))
        return guest

    yield come
    for guest in made:
        await guest.close()
