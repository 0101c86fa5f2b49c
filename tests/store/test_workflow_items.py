"""Items of the store: written over, found by namespace, gone when their time is over, one tenant's only."""

from msgspec.structs import replace

from trimtab.store import ItemRow, workflow_items

NOW = 1_000.0
ROW = ItemRow("acme", "users.ada", "likes", b'{"n": 1}', None, NOW, NOW)


def put(database, *rows, now=NOW):
    database.transact(lambda c: workflow_items.put(c, rows, now))


def page(database, prefix="", tenant="acme", now=NOW, limit=10, offset=0):
    rows = database.read(lambda c: workflow_items.page(c, tenant, prefix, now, limit, offset))
    return [(row.namespace, row.key) for row in rows]


def find(database, row=ROW, now=NOW):
    place = (row.namespace, row.key)
    return database.read(lambda c: workflow_items.find(c, row.tenant, [place], now)).get(place)


def test_what_is_put_again_keeps_the_moment_it_was_made(database):
    put(database, ROW)
    later = replace(ROW, value=b'{"n": 2}', created_at=2_000.0, updated_at=2_000.0)
    put(database, later, now=2_000.0)
    assert find(database) == replace(later, created_at=NOW)


def test_an_item_whose_time_was_over_is_made_anew(database):
    put(database, replace(ROW, expires_at=1_500.0, ttl_seconds=500.0))
    later = replace(ROW, created_at=2_000.0, updated_at=2_000.0)
    put(database, later, now=2_000.0)
    assert find(database) == later


def test_a_namespace_has_what_is_in_it_and_below_it_and_nothing_that_only_looks_alike(database):
    spaces = ("users", "users.ada", "users.ada.deep", "users.adam", "Users.ada", "usersXada", "other")
    put(database, *[replace(ROW, namespace=space) for space in spaces])
    assert [space for space, _ in page(database, "users.ada")] == ["users.ada", "users.ada.deep"]
    assert len(page(database)) == len(spaces)
    names = database.read(lambda c: workflow_items.namespaces(c, "acme", "users", NOW))
    assert sorted(names) == ["users", "users.ada", "users.ada.deep", "users.adam"]


def test_a_namespace_with_marks_of_like_matches_only_itself(database):
    put(
        database,
        replace(ROW, namespace="a%.x"),
        replace(ROW, namespace="ab.x"),
        replace(ROW, namespace="a_.x"),
    )
    assert page(database, "a%") == [("a%.x", "likes")]
    assert page(database, "a_") == [("a_.x", "likes")]


def test_pages_go_on_where_the_last_ended_and_begin_with_what_changed_last(database):
    put(database, *[replace(ROW, key=f"k{number}", updated_at=NOW + number) for number in range(5)])
    pages = [page(database, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [key for each in pages for _, key in each] == ["k4", "k3", "k2", "k1", "k0"]
    walked = database.read(lambda c: [row.key for row in workflow_items.walk(c, "acme", "", NOW)])
    assert walked == ["k4", "k3", "k2", "k1", "k0"]


def test_an_item_is_there_until_its_time_is_over_and_longer_when_it_is_used(database):
    put(database, replace(ROW, expires_at=1_060.0, ttl_seconds=60.0))
    place = [(ROW.namespace, ROW.key)]
    database.transact(lambda c: workflow_items.refresh(c, "acme", place, 1_050.0))
    assert find(database, now=1_100.0) is not None
    assert find(database, now=1_110.0) is None
    assert page(database, now=1_110.0) == []
    assert database.read(lambda c: workflow_items.namespaces(c, "acme", "", 1_110.0)) == []
    database.transact(lambda c: workflow_items.refresh(c, "acme", place, 1_120.0))
    assert find(database, now=1_121.0) is None


def test_a_sweep_takes_only_what_is_over_and_no_more_than_it_may(database):
    old = [replace(ROW, key=f"k{number}", expires_at=1_010.0, ttl_seconds=10.0) for number in range(3)]
    put(database, *old, replace(ROW, key="stays"), replace(ROW, key="later", expires_at=3_000.0))
    swept = [database.transact(lambda c: workflow_items.sweep(c, 2_000.0, 2)) for _ in range(3)]
    assert swept == [2, 1, 0]
    assert sorted(key for _, key in page(database, now=2_000.0)) == ["later", "stays"]


def test_one_tenant_neither_sees_nor_removes_what_another_has(database):
    put(database, ROW, replace(ROW, tenant="other", value=b'{"n": 9}'))
    database.transact(lambda c: workflow_items.remove(c, "acme", [(ROW.namespace, ROW.key)]))
    assert find(database) is None
    assert find(database, replace(ROW, tenant="other")).value == b'{"n": 9}'
    assert page(database, tenant="third") == []
