"""Train level 0: TF-IDF and logistic regression by scikit-learn, handed over to the numpy model that serves."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import LinearHead, LinearModel, LinearTerms
from trimtab.learning.labelled import Labelled

WORDS_AND_PIECES = LinearTerms(pairs=True, least_letters=2, most_letters=4)


def train_linear(
    heads: Mapping[str, Sequence[Labelled]],
    *,
    terms: LinearTerms = WORDS_AND_PIECES,
    strength: float = 30.0,
    least_texts: int = 2,
    most_terms: int = 60_000,
    seed: int = 0,
) -> LinearModel:
    """A model with one head for each set of examples; the vectoriser learns from all of them.

    `strength` is the inverse of the regularisation; a term is kept if it stands in `least_texts` texts at least.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectoriser = TfidfVectorizer(
        analyzer=terms.terms, min_df=least_texts, max_features=most_terms, dtype=np.float32
    )
    vectoriser.fit([each.text for examples in heads.values() for each in examples])
    columns: list[NDArray[np.float64]] = []
    biases: list[NDArray[np.float64]] = []
    described: list[LinearHead] = []
    start = 0
    for name, examples in heads.items():
        model = LogisticRegression(C=strength, max_iter=300, random_state=seed)
        model.fit(
            vectoriser.transform([each.text for each in examples]),
            [each.label for each in examples],
            sample_weight=[each.weight for each in examples],
        )
        weights, bias = _both_ways(model.coef_, model.intercept_)
        described.append(LinearHead(name, tuple(str(each) for each in model.classes_), start))
        columns.append(weights)
        biases.append(bias)
        start += len(weights)
    vocabulary = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
    return LinearModel(
        terms,
        vocabulary,
        np.asarray(vectoriser.idf_, np.float32),
        np.concatenate(columns).T.astype(np.float32),
        np.concatenate(biases).astype(np.float32),
        described,
    )


def _both_ways(
    weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two labels come as one column, a logit; as two columns, 0 and that logit, their softmax is the same."""
    if len(weights) > 1:
        return weights, bias
    return np.concatenate([np.zeros_like(weights), weights]), np.concatenate([np.zeros_like(bias), bias])
