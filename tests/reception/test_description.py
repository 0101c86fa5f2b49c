"""/openapi.json tells of the doors to hosted workflows where there are any."""

import schemathesis

from trimtab.reception.desk import Doorway


async def test_every_door_is_described_under_its_path(hosting):
    served = await hosting("failing")
    described = (await served.get("/openapi.json")).json
    doors = [route for route in served.house.gateway._rest.routes if isinstance(route.app, Doorway)]
    assert len(doors) > 40
    for route in doors:
        operations = described["paths"][route.path.replace(":path", "")]
        assert {method.lower() for method in route.methods - {"HEAD"}} <= set(operations)
    assert (
        described["paths"]["/threads/{thread}/runs/wait"]["post"]["summary"] == "its values, once it is over"
    )
    assert described["paths"]["/store/items"]["put"]["summary"] == "put"
    ids = [
        operation["operationId"]
        for item in described["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    assert len(ids) == len(set(ids))


async def test_the_description_is_openapi(hosting):
    served = await hosting("failing")
    schema = schemathesis.openapi.from_dict((await served.get("/openapi.json")).json)
    schema.validate()
    assert [result for result in schema.get_all_operations() if result.ok() is None] == []
