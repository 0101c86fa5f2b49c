"""Level 0: what numpy serves is what scikit-learn trained."""

import numpy as np
import pytest

from trimtab.controllers.linear import LinearTerms, load_linear
from trimtab.core.errors import DataError
from trimtab.learning.labelled import Labelled
from trimtab.learning.linear import WORDS_AND_PIECES, train_linear

VERBS = {
    "card": ["lost my card", "new card please", "card is blocked"],
    "pin": ["reset the pin", "forgot my pin"],
}
FILLS = [
    "today",
    "again",
    "as soon as possible",
    "from the app",
    "at the café",
    "für mich",
    "now!",
    "ok ok ok",
]
EXAMPLES = tuple(
    Labelled(f"{verb} {fill}", label) for label, verbs in VERBS.items() for verb in verbs for fill in FILLS
) + tuple(Labelled(f"book a flight to city {number}", "flight") for number in range(20))


@pytest.fixture(scope="module")
def model():
    yes_no = tuple(Labelled(each.text, "yes" if "card" in each.text else "no") for each in EXAMPLES)
    return train_linear({"intent": EXAMPLES, "card": yes_no})


@pytest.mark.parametrize("terms", [LinearTerms(), WORDS_AND_PIECES])
def test_it_decides_exactly_as_scikit_learn_does(terms):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectoriser = TfidfVectorizer(analyzer=terms.terms, min_df=2, max_features=60_000, dtype=np.float32)
    theirs = make_pipeline(vectoriser, LogisticRegression(C=30.0, max_iter=300, random_state=0))
    theirs.fit([each.text for each in EXAMPLES], [each.label for each in EXAMPLES])
    ours = train_linear({"intent": EXAMPLES}, terms=terms)
    texts = [each.text for each in EXAMPLES] + [
        "",
        "CARD",
        "unknown words only",
        "pin pin pin card",
        "Größe 12",
    ]
    logits = np.stack([ours.logits(text) for text in texts])
    assert np.array_equal(np.array(ours.heads[0].labels)[logits.argmax(1)], theirs.predict(texts))
    shares = np.exp(logits - logits.max(1, keepdims=True))
    assert np.allclose(shares / shares.sum(1, keepdims=True), theirs.predict_proba(texts), atol=1e-4)


def test_several_heads_read_one_vector(model):
    reading = model.read("i lost my card today")
    assert set(reading.logits) == {"intent", "card"}
    assert model.heads[1].labels[int(reading.logits["card"].argmax())] == "yes"
    assert model.heads[0].labels[int(reading.logits["intent"].argmax())] == "card"
    assert 0.5 < reading.known_share <= 1.0
    assert model.read("").known_share == 0.0


def test_a_saved_model_decides_to_the_bit_as_before(model, tmp_path):
    model.save(tmp_path / "linear.npz")
    again = load_linear(tmp_path / "linear.npz")
    for text in ("reset the pin now!", "", "x" * 100_000, "\ud800\x00", "日本語 текст نص"):
        assert np.array_equal(model.logits(text), again.logits(text))
    assert again.heads == model.heads


def test_damage_is_named(model, tmp_path):
    path = tmp_path / "linear.npz"
    with pytest.raises(DataError, match=r"linear\.npz.*no arrays can be read"):
        load_linear(path)
    model.save(path)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(DataError, match=r"linear\.npz.*no arrays can be read"):
        load_linear(path)
    model.save(path)
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    np.savez(path, **(parts | {"weights": parts["weights"][:, :2]}))
    with pytest.raises(DataError, match=r"weights: weights .* do not fit"):
        load_linear(path)
    del parts["bias"]
    np.savez(path, **parts)
    with pytest.raises(DataError, match=r"bias: missing"):
        load_linear(path)
