"""An encoder in process: what goes in, what comes out, and what is said when its files are wrong."""

import json
import shutil

import numpy as np
import pytest
from tests.engines.tiny import engine_folder, hugging_face_folder

from trimtab.core.errors import DataError
from trimtab.engines import Adapter, EncoderShelf, load_encoder, save_adapter

STRANGE = ["", " ", "\x00\x01\xff", "half \ud800 a pair", "x" * 100_000, "card " * 20_000, "\n" * 50]
LANGUAGES = [
    "Wo ist meine Karte?", "¿Dónde está mi tarjeta?", "Où est ma carte ?", "Gdzie jest moja karta?", "где моя карта",
    "де моя картка", "我的卡在哪里", "カードはどこですか", "내 카드 어디", "أين بطاقتي", "איפה הכרטיס שלי",
    "کارت من کجاست",
    "मेरा कार्ड कहाँ है", "আমার কার্ড কোথায়", "என் அட்டை எங்கே", "నా కార్డ్ ఎక్కడ", "ನನ್ನ ಕಾರ್ಡ್ ಎಲ್ಲಿ", "എന്റെ കാർഡ് എവിടെ",
    "મારું કાર્ડ ક્યાં છે", "ਮੇਰਾ ਕਾਰਡ ਕਿੱਥੇ ਹੈ", "මගේ කාඩ්පත කොහෙද", "บัตรของฉันอยู่ที่ไหน", "ບັດຂອງຂ້ອຍຢູ່ໃສ", "ကျွန်ုပ်၏ကတ်",
    "កាតរបស់ខ្ញុំ",
    "Thẻ của tôi đâu", "Di mana kartu saya", "Nasaan ang card ko", "Kartım nerede", "Kartım haradadır", "картам қайда",
    "Картам кайда", "kartam qayerda", "картата ми", "моја картичка", "Kje je moja kartica", "Gdje je kartica",
    "Kde je moje karta", "Hol a kártyám", "Unde este cardul", "Πού είναι η κάρτα", "Hvor er kortet", "Var är kortet",
    "Missä korttini on", "Kus on mu kaart", "Kur ir mana karte", "Kur mano kortelė", "Non la mia carta", "ჩემი ბარათი",
    "Իմ քարտը", "ካርዴ የት ነው", "Kadi yangu iko wapi", "Iphi ikhadi lami",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return engine_folder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def adaptable(tmp_path_factory):
    return engine_folder(tmp_path_factory.mktemp("adaptable"), rank=4)


def test_any_text_gets_a_vector(folder):
    texts = STRANGE + LANGUAGES
    vectors = load_encoder(folder).encode(texts)
    assert vectors.shape == (len(texts), 64)
    assert np.isfinite(vectors).all()
    assert len(LANGUAGES) >= 50


def test_a_text_gets_the_same_vector_alone_in_company_and_again(folder):
    texts = ["how do i reset my pin", "my card is lost", "play a song", "card " * 30, ""]
    encoder = load_encoder(folder)
    together = encoder.encode(texts)
    alone = np.stack([load_encoder(folder).encode([text])[0] for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.array_equal(encoder.encode(texts[::-1])[::-1], together)


def test_the_engine_says_what_the_training_graph_says(folder, adaptable):
    import torch

    from trimtab.learning.encoder import load_encoder as load_weights

    graph = load_weights(folder.parent / "source")
    ids, mask = torch.tensor([[2, 6, 11, 13, 3]]), torch.ones(1, 5, dtype=torch.long)
    random = np.random.default_rng(0)
    down = random.normal(0, 0.3, (2, 2, 64, 4)).astype(np.float32)
    up = random.normal(0, 0.3, (2, 2, 4, 64)).astype(np.float32)
    with torch.no_grad():
        plain = graph(ids, mask)[0].numpy()
        adapted = graph(ids, mask, torch.from_numpy(down), torch.from_numpy(up))[0].numpy()
    assert np.abs(adapted - plain).max() > 0.01
    encoder = load_encoder(adaptable)
    assert np.allclose(load_encoder(folder).encode(["card song new"])[0], plain, atol=1e-4)
    assert np.allclose(encoder.encode(["card song new"])[0], plain, atol=1e-4)
    assert np.allclose(encoder.encode(["card song new"], ("x", Adapter(down, up)))[0], adapted, atol=1e-4)


def test_workflows_share_an_encoder_and_bring_their_adapters(adaptable, tmp_path):
    shape = ((2, 2, 64, 2), (2, 2, 2, 64))
    for seed, name in enumerate(("one", "two")):
        random = np.random.default_rng(seed)
        arrays = [random.normal(0, 0.3, each).astype(np.float32) for each in shape]
        save_adapter(Adapter(*arrays), tmp_path / f"{name}.npz")
    shelf = EncoderShelf()
    assert shelf.take(adaptable) is shelf.take(adaptable.parent / "engine")
    said = [
        shelf.encode(adaptable, ["my card"], tmp_path / f"{name}.npz")[0] for name in ("one", "two", "one")
    ]
    assert np.array_equal(said[0], said[2])
    assert not np.allclose(said[0], said[1], atol=1e-3)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "encoder.bin").unlink(), r"encoder\.bin: weights: missing"),
        (lambda folder: (folder / "encoder.xml").write_text("no"), r"encoder\.xml: weights: weights cannot be read"),
        (lambda folder: (folder / "encoder.bin").write_bytes(b"x"), r"encoder"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json: tokenizer: missing"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), r"tokenizer\.json: is no tokenizer"),
        (lambda folder: (folder / "encoder.json").unlink(), r"encoder\.json: no encoder is described"),
        (lambda folder: (folder / "encoder.json").write_text('{"width": "a"}'), r"encoder\.json"),
        (lambda folder: change(folder, width=128), r"where encoder\.json says 2 inputs and width 128"),
        (lambda folder: change(folder, rank=4), r"2 inputs .* says 4 inputs"),
        (lambda folder: change(folder, format=9), r"format 9 is unknown"),
        (lambda folder: change(folder, vocabulary=5), r"tokenizer\.json: 22 words .* 5"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path, spoil, said):
    copy = tmp_path / "engine"
    shutil.copytree(folder, copy)
    spoil(copy)
    with pytest.raises(DataError, match=said):
        load_encoder(copy)


def change(folder, **fields):
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_other_architectures_are_refused_by_name(tmp_path):
    from trimtab.learning.encoder import load_encoder as load_weights

    folder = hugging_face_folder(tmp_path / "hf")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "modernbert"}))
    with pytest.raises(DataError, match="model_type: modernbert is not a BERT-like encoder"):
        load_weights(folder)
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    with pytest.raises(DataError, match=r"weights do not fit config\.json"):
        load_weights(folder)
