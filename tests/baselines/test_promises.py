"""What every baseline promises, on one small dataset that all of them are fitted to."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from smec.baselines import BASELINES, fit_baseline
from smec.data import Dataset
from smec.encoder import Encoder
from smec.errors import ConfigError, DataError
from smec.vectors import FloatArray, normalise

D = 12
DIMS = (8, 4, 1)
TRAIN, TEST = 24, 6

LEARNED = {
    "adawidth",
    "chain",
    "dive",
    "dive-unsupervised",
    "matryoshka-adaptor",
    "matryoshka-adaptor-unsupervised",
    "mrl",
    "mrl-weighted",
    "query-adapter",
    "search-adaptor",
}
"""Trained step by step, with settings."""

NEEDS_QUERIES = LEARNED - {"dive-unsupervised", "matryoshka-adaptor-unsupervised"} | {
    "pca-feedback",
    "leanvec-es",
    "leanvec-fw",
}

OF_ITS_OWN_PER_SIZE = {"chain", "leanvec-es", "leanvec-fw", "query-adapter", "search-adaptor", "spectemp"}
"""A size is not the beginning of a larger one."""

TWO_SIDED = {"leanvec-fw", "query-adapter"}
"""Encodes queries differently from documents."""

SEARCHED = {"leanvec-es", "leanvec-fw"}
"""Closed form but for a search that ends within a tolerance, so that rounding may show."""


def names(among: Collection[str] = BASELINES, but: Collection[str] = ()) -> pytest.MarkDecorator:
    """Run a test for the baselines of these names, all by default."""
    chosen = [name for name in BASELINES if name in among and name not in but]
    return pytest.mark.parametrize("name", chosen)


def vectors(rows: int = 40, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.5, 20, (rows, 1))
    return ((rng.standard_normal((rows, D)) + 0.5) * np.linspace(3, 0.2, D) * lengths).astype(np.float32)


def dataset(corpus: FloatArray | None = None, *, test: bool = False) -> Dataset:
    """Every query lies near the document of its number; the test queries come last."""
    documents = vectors() if corpus is None else corpus
    near = normalise(vectors()[: TRAIN + TEST])
    queries = near + np.random.default_rng(1).normal(0, 0.1, near.shape).astype(np.float32)
    qrels = {"train": {str(row): {str(row): 1 + row % 2} for row in range(TRAIN)}}
    if test:
        qrels["test"] = {str(row): {str(row): 1} for row in range(TRAIN, TRAIN + TEST)}
    return Dataset(documents, queries if test else queries[:TRAIN], qrels, "small")


def fit(name: str, data: Dataset | FloatArray, seed: int = 0) -> Encoder:
    """As `fit_baseline`, but what is learned takes few steps: what it promises does not hang on them."""
    if name not in LEARNED:
        return fit_baseline(name, data, DIMS, seed)
    module, function = BASELINES[name].split(":")
    train = getattr(import_module(module), function)
    settings = replace(inspect.signature(train).parameters["settings"].default, steps=20)
    opened = data if isinstance(data, Dataset) else Dataset(data, name=name)
    encoder: Encoder = train(opened, DIMS, seed=seed, settings=settings)
    return encoder


@cache
def fitted(name: str) -> Encoder:
    return fit(name, dataset())


def assert_same(one: Encoder, other: Encoder) -> None:
    for dim in DIMS:
        np.testing.assert_array_equal(one.encode(vectors(), dim), other.encode(vectors(), dim))
        np.testing.assert_array_equal(
            one.encode_queries(vectors(), dim), other.encode_queries(vectors(), dim)
        )


@names()
def test_it_answers_to_the_protocol_under_its_own_name(name: str) -> None:
    assert isinstance(fitted(name), Encoder)
    assert (fitted(name).name, fitted(name).input_dim, fitted(name).dims) == (name, D, DIMS)


@names()
def test_rows_have_unit_length_at_every_size_on_both_sides(name: str) -> None:
    for dim in DIMS:
        for encode in (fitted(name).encode, fitted(name).encode_queries):
            encoded = encode(vectors(seed=1), dim)
            assert encoded.shape == (40, dim)
            assert encoded.dtype == np.float32
            np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), 1, rtol=1e-6)


@names()
def test_without_a_size_the_largest_is_served(name: str) -> None:
    np.testing.assert_array_equal(fitted(name).encode(vectors()), fitted(name).encode(vectors(), DIMS[0]))


@names(but=OF_ITS_OWN_PER_SIZE)
def test_a_smaller_size_is_the_beginning_of_the_largest_made_unit_length(name: str) -> None:
    largest = fitted(name).encode(vectors(seed=1))
    for dim in DIMS[1:]:
        prefix = largest[:, :dim] / np.linalg.norm(largest[:, :dim], axis=1, keepdims=True)
        np.testing.assert_allclose(fitted(name).encode(vectors(seed=1), dim), prefix, atol=2e-6)


@names(but=TWO_SIDED)
def test_queries_and_documents_are_encoded_alike(name: str) -> None:
    for dim in DIMS:
        np.testing.assert_array_equal(
            fitted(name).encode_queries(vectors(), dim), fitted(name).encode(vectors(), dim)
        )


@names(TWO_SIDED - {"query-adapter"})  # which gains nothing here, and stays PCA
def test_queries_are_encoded_in_their_own_way(name: str) -> None:
    assert np.abs(fitted(name).encode_queries(vectors(), 4) - fitted(name).encode(vectors(), 4)).max() > 0.01


@names()
def test_every_document_is_close_to_a_query_beside_it(name: str) -> None:
    queries = fitted(name).encode_queries(vectors() * 1.5)
    assert (np.einsum("ij,ij->i", queries, fitted(name).encode(vectors())) > 0.9).all()


@names()
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    assert_same(fit(name, dataset()), fitted(name))


@names()
def test_the_test_split_is_never_looked_at(name: str) -> None:
    assert_same(fit(name, dataset(test=True)), fitted(name))


@names(but=NEEDS_QUERIES)
def test_without_labels_the_corpus_alone_counts(name: str) -> None:
    assert_same(fit(name, vectors()), fitted(name))


@names(NEEDS_QUERIES)
def test_a_missing_train_split_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(DataError, match=r"^small: has no qrels for split 'train'; its splits: none$"):
        fit_baseline(name, Dataset(vectors(), vectors(5), name="small"), DIMS)
    with pytest.raises(DataError, match=r"has no qrels for split 'train'") as refusal:
        fit_baseline(name, vectors(), DIMS)
    assert "\n" not in str(refusal.value)


@names()
def test_the_length_of_what_is_encoded_does_not_matter(name: str) -> None:
    for dim in DIMS:
        for encode in (fitted(name).encode, fitted(name).encode_queries):
            np.testing.assert_allclose(
                encode(vectors(), dim), encode(normalise(vectors()), dim), rtol=0, atol=1e-5
            )


# Training can turn a rounding error into another check that is the best.
@names(but=LEARNED | SEARCHED)
def test_the_length_and_precision_of_what_is_fitted_does_not_matter(name: str) -> None:
    expected = fitted(name).encode(vectors())
    doubled: FloatArray = vectors().astype(np.float64)
    for corpus, tolerance in (
        (normalise(vectors()), 1e-5),
        (doubled, 1e-5),
        (vectors().astype(np.float16), 0.01),
    ):
        np.testing.assert_allclose(fit(name, dataset(corpus)).encode(vectors()), expected, atol=tolerance)


@names()
def test_half_and_double_precision_are_encoded_and_nothing_given_is_changed(name: str) -> None:
    precisions: list[tuple[type[np.floating[Any]], float]] = [(np.float16, 0.01), (np.float64, 1e-5)]
    for dtype, tolerance in precisions:
        given: FloatArray = vectors().astype(dtype)
        given.setflags(write=False)
        np.testing.assert_allclose(fitted(name).encode(given), fitted(name).encode(vectors()), atol=tolerance)


@names()
def test_a_read_only_corpus_of_half_precision_is_taken(name: str) -> None:
    corpus: FloatArray = vectors().astype(np.float16)
    corpus.setflags(write=False)
    assert np.isfinite(fit(name, dataset(corpus)).encode(corpus)).all()


@names()
def test_unserved_sizes_and_foreign_widths_are_refused(name: str) -> None:
    for encode in (fitted(name).encode, fitted(name).encode_queries):
        with pytest.raises(ConfigError, match=f"{name}: size 5 is not served; it serves 8, 4, 1"):
            encode(vectors(), 5)
        for width in (D - 1, D + 1):
            with pytest.raises(DataError, match=f"{width} dims, but {D}"):
                encode(np.ones((2, width), np.float32), 4)


@names()
@pytest.mark.parametrize("dims", [(), (4, 8), (4, 4), (D + 1,), (0,)])
def test_sizes_that_make_no_sense_are_refused(name: str, dims: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="dims"):
        fit_baseline(name, dataset(), dims)


@names(but=LEARNED)
def test_every_size_from_the_full_one_to_1_is_served(name: str) -> None:
    encoder = fit_baseline(name, dataset(), tuple(range(D, 0, -1)))
    for dim in encoder.dims:
        assert np.isfinite(encoder.encode(vectors(), dim)).all()


@names(but=LEARNED)
def test_a_corpus_of_fewer_rows_than_dims_is_enough(name: str) -> None:
    qrels = {"train": {str(row): {str(row): 1} for row in range(3)}}
    encoder = fit_baseline(name, Dataset(vectors(5), vectors(3, seed=1), qrels), DIMS)
    for dim in DIMS:
        np.testing.assert_allclose(np.linalg.norm(encoder.encode(vectors(), dim), axis=1), 1, rtol=1e-6)


@names()
def test_a_corpus_with_an_unusable_row_is_refused(name: str) -> None:
    corpus = vectors()
    corpus[7, 2] = np.nan
    with pytest.raises(DataError, match=r"row 7\b.*column 2"):
        fit_baseline(name, corpus, DIMS)


@names({"random", "random-dims"})
def test_another_seed_draws_others(name: str) -> None:
    assert np.abs(fit(name, dataset(), seed=1).encode(vectors()) - fitted(name).encode(vectors())).max() > 0.1


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
    with pytest.raises(ConfigError, match=rf"'pac'.*use one of {', '.join(BASELINES)}"):
        fit_baseline("pac", vectors(), DIMS)


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("spectemp", "kneed", "eval"),
        ("leanvec-fw", "scipy", "eval"),
        ("matryoshka-adaptor", "torch", "train"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_extra(name: str, library: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "import numpy, smec.baselines, smec.errors\n"
        f"try: smec.baselines.fit_baseline({name!r}, numpy.eye(4), (2,))\n"
        "except smec.errors.MissingExtraError as error: print(error)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == (
        f"baseline '{name}' needs {library}, which is not installed: pip install 'smec[{extra}]'"
    )
