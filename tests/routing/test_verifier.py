import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import Verifier
from trimtab.routing import DeclaredTool, Schemas, Verifiers, VerifyContext
from trimtab.wire import ReplyFacts, ToolCall

CITY = b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
WEATHER = DeclaredTool("weather", CITY)


def _reply(text="", *calls, finish_reason="stop", mean_logprob=None, refusal=False):
    tool_calls = tuple(ToolCall(*call) for call in calls)
    return ReplyFacts(text, tool_calls, finish_reason, mean_logprob, refusal, len(text))


def _verify(kind, reply, context=None, value="", functions=None):
    return Verifiers(functions).verify(Verifier(kind, value), reply, context or VerifyContext())


def _reason(*args, **more):
    verdict = _verify(*args, **more)
    assert verdict.accepted == (not verdict.reason)
    return verdict.reason


SCHEMA = VerifyContext("json_schema", CITY)


def test_a_reply_that_fits_the_declared_schema_is_accepted():
    verdict = _verify("json_schema", _reply('{"city": "Riga"}'), SCHEMA)
    assert (verdict.accepted, verdict.by, verdict.reason) == (True, "json_schema", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ('```json\n{"city": "Riga"}\n```', "is not JSON"),
        ('{"city": NaN}', "is not JSON"),
        ('{"city": 5}', 'at /city: the value is not of type "string"'),
        ("{}", 'at /: "city" is a required property'),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_reply_that_does_not_fit_is_rejected_with_the_reason(text, said):
    assert said in _reason("json_schema", _reply(text), SCHEMA)


def test_the_reason_does_not_quote_the_reply():
    schema = VerifyContext("json_schema", b'{"properties":{"age":{"type":"integer"},"of":{"enum":["x"]}}}')
    assert "hunter2" not in _reason("json_schema", _reply('{"age": "hunter2"}'), schema)
    assert "hunter2" not in _reason("json_schema", _reply('{"of": "hunter2"}'), schema)


def test_json_of_any_shape_is_enough_where_no_schema_is_declared():
    assert not _reason("json_schema", _reply("{}"), VerifyContext("json_object"))
    assert "not an object" in _reason("json_schema", _reply("[]"), VerifyContext("json_object"))
    assert not _reason("json_schema", _reply("free text"))


def test_a_refusal_is_no_json_and_a_tool_call_needs_none():
    assert "refused" in _reason("json_schema", _reply(refusal=True), SCHEMA)
    assert not _reason("json_schema", _reply("", ("weather", "{}")), SCHEMA)


@pytest.mark.parametrize(
    "schema",
    [
        b'{"type":"nosuch"}',
        b'{"$ref":"http://127.0.0.1:9/x.json"}',
        b'{"$ref":"file:///etc/hostname"}',
        b'{"pattern":"("}',
        b"5",
        b"{",
        b"[" * 100_000,
    ],
)
def test_a_schema_that_cannot_be_used_rejects_and_reads_nothing_from_elsewhere(schema):
    assert "the schema cannot be used" in _reason(
        "json_schema", _reply("{}"), VerifyContext("json_schema", schema)
    )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_json_gives_a_verdict(value):
    reply = _reply(msgspec.json.encode(value).decode())
    for kind in ("json_schema", "tool_calls", "finish_reason", "logprob"):
        _verify(kind, reply, SCHEMA, "-1" if kind == "logprob" else "")


def test_compiled_schemas_are_kept_up_to_a_bound():
    schemas = Schemas(limit=2)
    for length in (1, 2, 1, 3):
        assert not schemas.fault(f'{{"maxLength":{length}}}'.encode(), "x")
    assert len(schemas) == 2
    assert schemas.fault(b'{"maxLength":1}', "xx")


def _calls(*calls, **context):
    return _reason(
        "tool_calls", _reply("", *calls), VerifyContext(tools=(WEATHER, DeclaredTool("ping")), **context)
    )


def test_tool_calls_that_fit_are_accepted():
    assert not _calls(("weather", '{"city":"Riga"}'), ("ping", ""), ("ping", '{"anything": 1}'))
    assert not _calls()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("wether", "{}", "calls 'wether', which is not declared"),
        ("weather", '{"city":', "the arguments of 'weather' are not JSON"),
        ("weather", '"Riga"', "the arguments of 'weather' are not a JSON object"),
        ("weather", '{"city":5}', "the arguments of 'weather' do not fit its schema: at /city"),
        ("weather", "", "do not fit its schema"),
    ],
)
def test_a_tool_call_that_does_not_fit_is_rejected_with_the_reason(name, arguments, said):
    assert said in _calls(("ping", "{}"), (name, arguments))


def test_the_tool_choice_is_kept_to():
    assert "although one is required" in _calls(tool_choice="required")
    assert "does not call 'weather'" in _calls(("ping", "{}"), tool_choice="required", must_call="weather")
    assert "no tool may be called" in _calls(("ping", "{}"), tool_choice="none")
    assert not _calls(("ping", "{}"), tool_choice="required", must_call="ping")


def test_a_tool_of_free_text_takes_anything():
    context = VerifyContext(tools=(DeclaredTool("shell", free_text=True),))
    assert not _reason("tool_calls", _reply("", ("shell", "ls -l {")), context)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (_reply("fine"), ""),
        (_reply("", ("ping", "{}"), finish_reason="tool_calls"), ""),
        (_reply("cut", finish_reason="length"), "finished by 'length'"),
        (_reply("", finish_reason="content_filter"), "finished by 'content_filter'"),
        (_reply("odd", finish_reason=""), "finished by 'nothing'"),
        (_reply(" \n"), "the reply is empty"),
        (_reply(refusal=True), "the model refused"),
    ],
)
def test_how_a_reply_finished_is_judged(reply, said):
    assert _reason("finish_reason", reply) == said


def test_a_model_that_was_not_sure_enough_is_rejected():
    assert not _reason("logprob", _reply("x", mean_logprob=-0.5), value="-0.5")
    assert (
        _reason("logprob", _reply("x", mean_logprob=-0.75), value="-0.5")
        == "mean logprob -0.750 is below -0.5"
    )
    assert _reason("logprob", _reply("x"), value="-0.5") == "the endpoint gave no logprobs"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (True, ""),
        ((True, "why not"), ""),
        (False, "rejected by 'mine:check'"),
        ((False, "too short"), "too short"),
        (None, "returned NoneType, expected a bool or (bool, reason)"),
        ((1, "x"), "returned tuple, expected a bool or (bool, reason)"),
        ("yes", "returned str"),
    ],
)
def test_a_function_of_the_users_decides(result, said):
    reason = _reason("python", _reply("x"), value="mine:check", functions={"mine:check": lambda *_: result})
    assert said in reason
    assert bool(said) == bool(reason)


def test_an_exception_in_the_function_rejects_with_its_name():
    def check(reply, request):
        raise LookupError(reply.text)

    verdict = _verify("python", _reply("oh"), value="mine:check", functions={"mine:check": check})
    assert not verdict.accepted
    assert verdict.by == "python:mine:check"
    assert verdict.reason == "'mine:check' raised LookupError: oh"


def test_a_function_that_is_not_loaded_rejects():
    assert _reason("python", _reply("x"), value="mine:gone") == "'mine:gone' is not loaded"


def test_reasons_are_bounded():
    assert (
        len(_reason("python", _reply("x"), value="m:f", functions={"m:f": lambda *_: (False, "a" * 9999)}))
        == 300
    )
