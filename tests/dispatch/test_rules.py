"""Rules and settings of tenants as a whole house applies them."""

import msgspec

from gateway.served import ask, endpoint
from trimtab.core import Decision

FAILING = '[[rule]]\nname = "odd"\nwhen = "tools[7] == \'book\'"\npolicy = "cheapest"\n'
SOUND = '[[rule]]\nname = "sound"\nwhen = "tokens > 0"\npolicy = "cheapest"\n'


async def test_a_rule_that_fails_on_a_call_is_named_in_its_decision(serve, upstream):
    served = await serve(endpoint(upstream) + FAILING + SOUND)
    assert (await served.post(ask())).status == 200
    decision = msgspec.json.decode((await served.call()).decision, type=Decision)
    assert (decision.rule, decision.policy) == ("sound", "cheapest")
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("rule 'odd' cannot be judged: ")


async def test_what_a_tenant_without_content_setting_said_is_kept_as_for_all(serve, upstream):
    tenants = '[[tenant]]\nname = "acme"\n[[tenant]]\nname = "*"\ncontent = "drop"\n'
    served = await serve(endpoint(upstream) + tenants)
    for tenant in ("acme", "blue"):
        key = await served.key(tenant)
        assert (await served.post(ask(), headers={"authorization": f"Bearer {key}"})).status == 200
    kept = {line.tenant: bool(line.request and line.reply) for line in await served.calls()}
    assert kept == {"acme": True, "blue": False}
