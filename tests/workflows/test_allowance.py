"""Room for what a tenant keeps: counted seldom far below the limit, each time at it, and never passed."""

import pytest

from trimtab.core.errors import Conflict
from trimtab.workflows import Allowance, Room


class Shelf:
    """Things of tenants, and how often they were counted."""

    def __init__(self):
        self.kept, self.counted = {}, 0

    def count(self, connection, tenant):
        self.counted += 1
        return self.kept.get(tenant, 0)

    def put(self, room, tenant="acme"):
        self.kept[tenant] = self.kept.get(tenant, 0) + 1
        try:
            room.require(None, tenant)
        except Conflict:
            self.kept[tenant] -= 1
            raise


def filled(shelf, rooms):
    """As many as the processes let in, one after the other."""
    put = 0
    while put < 10_000:
        try:
            shelf.put(rooms[put % len(rooms)])
        except Conflict:
            return put
        put += 1
    return put


def room_of(shelf, most=1_000):
    return Room("items", shelf.count, lambda tenant: Allowance(0, 0, most if tenant == "acme" else 1))


@pytest.mark.parametrize("processes", [1, 2, 10])
def test_a_limit_is_met_exactly_however_many_processes_fill_up_to_it(processes):
    shelf = Shelf()
    assert filled(shelf, [room_of(shelf) for _ in range(processes)]) == 1_000
    assert shelf.counted < 300


def test_there_is_room_again_for_what_went_and_each_tenant_has_its_own():
    shelf = Shelf()
    room = room_of(shelf, 2)
    shelf.put(room)
    shelf.put(room)
    shelf.put(room, "other")
    with pytest.raises(
        Conflict, match=r"tenant 'acme' may keep 2 items \(\[\[tenant\]\] max_items\)"
    ) as refused:
        shelf.put(room)
    assert refused.value.code == "too_many_items"
    with pytest.raises(Conflict, match="'other' may keep 1 items"):
        shelf.put(room, "other")
    shelf.kept["acme"] -= 1
    shelf.put(room)
