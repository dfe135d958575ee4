"""AdaWidth's rotation is one, and AdaWidth and DIVE learn from labels what their start does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.baselines import fit_baseline
from smec.baselines.adawidth import REFLECTIONS, fit_adawidth
from smec.baselines.adawidth import SETTINGS as ADAWIDTH
from smec.baselines.dive import SETTINGS as DIVE
from smec.baselines.dive import fit_dive, fit_unsupervised_dive
from smec.baselines.learning import LearningSettings
from smec.data import Dataset
from smec.encoder import Encoder
from smec.training.reflections import rotate, start_reflections
from smec.vectors import Float32Array, normalise

D = 16
DIMS = (8, 4)
DOCUMENTS, TRAIN = 300, 200

Fit = Callable[..., Encoder]


@cache
def dataset() -> Dataset:
    """A query shares the last 8 dims with its document; the others, some of them louder, mean nothing."""
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((DOCUMENTS, 8))
    asked = meaning + 0.1 * rng.standard_normal(meaning.shape)
    noise = rng.standard_normal((2, DOCUMENTS, D - 8)) * np.linspace(1.5, 0.5, D - 8)
    corpus = np.hstack([noise[0], meaning]).astype(np.float32)
    queries = np.hstack([noise[1], asked]).astype(np.float32)
    qrels = {
        "train": {str(row): {str(row): 1} for row in range(TRAIN)},
        "test": {str(row): {str(row): 1} for row in range(TRAIN, DOCUMENTS)},
    }
    return Dataset(corpus, queries, qrels, "loud")


def corpus() -> Float32Array:
    return normalise(dataset().corpus.vectors)


def adawidth(dims: tuple[int, ...] = DIMS, seed: int = 0, steps: int = 150) -> Encoder:
    return fit_adawidth(dataset(), dims, seed=seed, settings=small(ADAWIDTH, steps))


def dive(dims: tuple[int, ...] = DIMS, seed: int = 0, steps: int = 150) -> Encoder:
    return fit_dive(dataset(), dims, seed=seed, settings=small(DIVE, steps))


def small(defaults: LearningSettings, steps: int) -> LearningSettings:
    return replace(defaults, steps=steps, batch=64, negatives=64, learning_rate=1e-3)


def mean_reciprocal_rank(encoder: Encoder, dim: int) -> float:
    """Over the test queries, each with one relevant document."""
    queries = dataset().queries
    assert queries is not None
    scores = encoder.encode_queries(queries.vectors, dim) @ encoder.encode(corpus(), dim).T
    ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    return float((1 / ranks[TRAIN:]).mean())


@pytest.mark.parametrize("fit", [adawidth, dive])
def test_labels_teach_every_size_what_the_start_does_not_know(fit: Fit) -> None:
    learned, start = fit(), fit_baseline("pca", dataset(), DIMS)
    for dim in DIMS:
        assert mean_reciprocal_rank(learned, dim) > 2 * mean_reciprocal_rank(start, dim)


@pytest.mark.parametrize("fit", [adawidth, dive])
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(fit: Fit) -> None:
    first, again, other = (fit(seed=seed, steps=50).encode(corpus()) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_unsupervised_dive_that_only_harms_ends_where_it_started() -> None:
    # Not one neighbour is kept better by pushing all documents apart: the check of step 0 is the best.
    hot = replace(DIVE, steps=50, batch=64, learning_rate=0.1)
    kept = fit_unsupervised_dive(dataset(), DIMS, settings=hot)
    start = fit_baseline("pca", dataset(), DIMS)
    for dim in DIMS:
        np.testing.assert_allclose(kept.encode(corpus(), dim), start.encode(corpus(), dim), atol=1e-5)


def test_adawidth_changes_no_cosine_of_the_full_size() -> None:
    learned = adawidth((D, *DIMS))
    turned = learned.encode(corpus(), D)
    np.testing.assert_allclose(turned @ turned.T, corpus() @ corpus().T, rtol=0, atol=1e-5)
    start = fit_baseline("pca", dataset(), (D, *DIMS)).encode(corpus(), D)
    assert np.abs(turned - start).max() > 0.1  # though it has learned


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.sampled_from([2, 5, 48]), st.floats(1e-3, 1e3))
def test_any_reflections_make_an_orthogonal_matrix_their_product(
    seed: int, reflections: int, dim: int, length: float
) -> None:
    drawn = np.random.default_rng(seed).standard_normal((reflections, dim))
    expected = np.eye(dim)
    for v in drawn:
        expected = expected @ (np.eye(dim) - 2 * np.outer(v, v) / (v @ v))
    rotation = rotate(torch.from_numpy(drawn * length), torch.eye(dim, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(rotation, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(dim), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dim", [4, 16, 768])
def test_the_reflections_start_as_the_identity(dim: int) -> None:
    rotation = rotate(start_reflections(REFLECTIONS, dim, seed=5), torch.eye(dim))
    np.testing.assert_allclose(rotation.numpy(), np.eye(dim), rtol=0, atol=1e-5)
