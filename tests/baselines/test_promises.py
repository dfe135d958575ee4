"""What every baseline promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smec.baselines import BASELINES, fit_baseline
from smec.encoder import Encoder
from smec.errors import ConfigError, DataError
from smec.vectors import FloatArray

D = 12
DIMS = (8, 4, 1)
every_baseline = pytest.mark.parametrize("name", BASELINES)


def vectors(rows: int = 40, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.5, 20, (rows, 1))
    return ((rng.standard_normal((rows, D)) + 0.5) * np.linspace(3, 0.2, D) * lengths).astype(np.float32)


@every_baseline
def test_it_answers_to_the_protocol_under_its_own_name(name: str) -> None:
    encoder = fit_baseline(name, vectors(), DIMS)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.input_dim, encoder.dims) == (name, D, DIMS)


@every_baseline
def test_rows_have_unit_length_at_every_size(name: str) -> None:
    encoder = fit_baseline(name, vectors(), DIMS)
    for dim in DIMS:
        encoded = encoder.encode(vectors(seed=1), dim)
        assert encoded.shape == (40, dim)
        assert encoded.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), 1, rtol=1e-6)


@every_baseline
def test_a_smaller_size_is_the_beginning_of_the_largest_made_unit_length(name: str) -> None:
    encoder = fit_baseline(name, vectors(), DIMS)
    largest = encoder.encode(vectors(seed=1))
    assert largest.shape == (40, DIMS[0])
    for dim in DIMS[1:]:
        prefix = largest[:, :dim] / np.linalg.norm(largest[:, :dim], axis=1, keepdims=True)
        np.testing.assert_allclose(encoder.encode(vectors(seed=1), dim), prefix, atol=2e-6)


@every_baseline
def test_queries_and_documents_are_encoded_alike(name: str) -> None:
    encoder = fit_baseline(name, vectors(), DIMS)
    np.testing.assert_array_equal(encoder.encode_queries(vectors(), 4), encoder.encode(vectors(), 4))


@every_baseline
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    once, again = (fit_baseline(name, vectors(), DIMS, seed=3).encode(vectors(seed=1)) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@every_baseline
def test_the_length_of_what_is_encoded_and_fitted_does_not_matter(name: str) -> None:
    unit = vectors() / np.linalg.norm(vectors(), axis=1, keepdims=True)
    expected = fit_baseline(name, unit, DIMS).encode(unit)
    np.testing.assert_allclose(fit_baseline(name, vectors(), DIMS).encode(vectors()), expected, atol=1e-5)


@every_baseline
def test_half_and_double_precision_are_taken_and_nothing_given_is_changed(name: str) -> None:
    expected = fit_baseline(name, vectors(), DIMS).encode(vectors())
    precisions: list[tuple[type[np.floating[Any]], float]] = [(np.float16, 0.01), (np.float64, 1e-5)]
    for dtype, tolerance in precisions:
        given: FloatArray = vectors().astype(dtype)
        given.setflags(write=False)
        encoded = fit_baseline(name, given, DIMS).encode(given)
        np.testing.assert_allclose(encoded, expected, atol=tolerance)


@every_baseline
def test_unserved_sizes_and_foreign_widths_are_refused(name: str) -> None:
    encoder = fit_baseline(name, vectors(), DIMS)
    with pytest.raises(ConfigError, match=f"{name}: size 5 is not served; it serves 8, 4, 1"):
        encoder.encode(vectors(), 5)
    for width in (D - 1, D + 1):
        with pytest.raises(DataError, match=f"{width} dims, but {D}"):
            encoder.encode(np.ones((2, width), np.float32), 4)


@every_baseline
@pytest.mark.parametrize("dims", [(), (4, 8), (4, 4), (D + 1,), (0,)])
def test_sizes_that_make_no_sense_are_refused(name: str, dims: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="dims"):
        fit_baseline(name, vectors(), dims)


@every_baseline
def test_a_corpus_with_an_unusable_row_is_refused(name: str) -> None:
    corpus = vectors()
    corpus[7, 2] = np.nan
    with pytest.raises(DataError, match=r"row 7\b.*column 2"):
        fit_baseline(name, corpus, DIMS)


def test_another_seed_draws_other_directions() -> None:
    one, other = (fit_baseline("random", vectors(), DIMS, seed=seed).encode(vectors()) for seed in (0, 1))
    assert np.abs(one - other).max() > 0.1


def test_random_directions_keep_similarities_about_as_they_are() -> None:
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((100, 2000)).astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    small = fit_baseline("random", wide, (1000,)).encode(wide)
    errors = small @ small.T - wide @ wide.T
    # Johnson and Lindenstrauss: a cosine's error has a deviation of about 1 / sqrt(d).
    assert errors[np.triu_indices(100, 1)].std() == pytest.approx(1000**-0.5, rel=0.1)


def test_truncation_keeps_the_leading_dimensions() -> None:
    encoded = fit_baseline("truncate", np.eye(3), (2,)).encode(np.array([[3.0, 4.0, 12.0]]))
    np.testing.assert_allclose(encoded, [[0.6, 0.8]], rtol=1e-6)


def test_an_unknown_baseline_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'pac'.*truncate, pca, pca-centred, random"):
        fit_baseline("pac", vectors(), DIMS)
