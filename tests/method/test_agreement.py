"""The turn to the axes on which queries and their relevant documents agree."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from smec.method.agreement import agreement_axes
from smec.training.pool import Pool
from smec.vectors import Float32Array, normalise

TOPIC = 3
"""The coordinate by which queries and their documents agree below; the others are noise."""


def pool(width: int = 6, seed: int = 0) -> Pool:
    """400 documents, as many queries: alike in TOPIC, where the corpus itself varies the least."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, 400, width))
    topic = rng.choice([-1.0, 1.0], size=400)
    noise[:, :, TOPIC] = 0.5 * topic
    documents, queries = normalise(noise[0].astype(np.float32)), normalise(noise[1].astype(np.float32))
    own = tuple((np.array([row]), np.ones(1)) for row in range(400))
    none = np.empty(0, dtype=np.int64)
    return Pool(np.arange(400), torch.from_numpy(documents), torch.from_numpy(queries), own, None, none)


def test_the_first_axis_is_where_queries_agree_with_their_documents_not_where_the_corpus_varies() -> None:
    source = pool()
    axes = agreement_axes(source, np.eye(6, dtype=np.float32))
    assert abs(axes[:, 0]).argmax() == TOPIC
    energy = np.square(source.documents.numpy()).mean(axis=0)
    assert energy.argmin() == TOPIC


@given(st.integers(0, 2**16))
def test_the_turn_changes_no_cosine_of_the_full_width(seed: int) -> None:
    source = pool(seed=seed)
    matrix: Float32Array = np.random.default_rng(seed).standard_normal((6, 5)).astype(np.float32)
    axes = agreement_axes(source, matrix)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-9)
    before = normalise(source.documents.numpy() @ matrix)
    after = normalise(source.documents.numpy() @ (matrix @ axes.astype(np.float32)))
    np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-5)
