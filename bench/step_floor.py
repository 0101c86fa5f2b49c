"""The floor a step controller must beat: TF-IDF and logistic regression over the very same candidates."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.learning.moments import Lived, Moment
from trimtab.learning.step_fit import Seen

_WORD = re.compile(r"[a-z0-9]+")
_MOST_WORDS = 80
_STRENGTH = 3.0


def see_by_words(rest: Sequence[Lived], held: Sequence[Lived], seed: int) -> list[Seen]:
    """The chances that words alone give each candidate of `held`, learned on `rest`: the last user's and the last
    reply's words, each by itself and together with the candidate's recipe."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    moments = [(one, moment) for one in rest for moment in one.moments]
    vectoriser = TfidfVectorizer(analyzer=list, lowercase=False, min_df=3, sublinear_tf=True)
    texts = [tokens for one, moment in moments for tokens in _tokens(one, moment)]
    vectors = vectoriser.fit_transform(texts)
    later, following = (
        _fit(vectors, np.concatenate([getattr(moment, which) for _, moment in moments]), seed)
        for which in ("later", "next")
    )
    found = []
    for one in held:
        for moment in one.moments:
            rows = vectoriser.transform(_tokens(one, moment)) if moment.keys else None
            found.append(Seen(one, moment, _chances(later, rows), _chances(following, rows)))
    return found


def _tokens(one: Lived, moment: Moment) -> list[list[str]]:
    """The tokens of each candidate of a moment."""
    if not moment.keys:
        return []
    before = one.episode.turns[: moment.reply]
    said = next((turn.text for turn in reversed(before) if turn.speaker == "user"), "")
    replied = next((turn.text for turn in reversed(before) if turn.speaker == "assistant" and turn.text), "")
    called = next((turn.calls[-1].name for turn in reversed(before) if turn.calls), "none")
    words = [f"u:{word}" for word in _WORD.findall(said.lower())[:_MOST_WORDS]]
    words += [f"a:{word}" for word in _WORD.findall(replied.lower())[:_MOST_WORDS]]
    words += [f"after:{called}", f"last:{before[-1].speaker}", f"agent:{one.episode.agent}"]
    return [
        [f"r:{recipe}", *words, *(f"{recipe}|{word}" for word in words)] for recipe in moment.recipes.tolist()
    ]


def _fit(vectors: object, labels: NDArray[np.bool_], seed: int) -> object:
    if len(set(labels.tolist())) < 2:
        return float(labels.mean()) if len(labels) else 0.0
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_STRENGTH, solver="liblinear", random_state=seed).fit(vectors, labels)


def _chances(model: object, rows: object) -> NDArray[np.float64]:
    if rows is None:
        return np.zeros(0)
    if isinstance(model, float):
        return np.full(rows.shape[0], model)  # type: ignore[attr-defined]
    return model.predict_proba(rows)[:, 1]  # type: ignore[attr-defined]
