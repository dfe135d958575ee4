"""PCA against scikit-learn's, and its independence of blocks and signs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA, TruncatedSVD

from smec.baselines.pca import (
    eigenvalues,
    fit_pca,
    fit_whitened_pca,
    principal_axes,
)
from smec.data import Dataset
from smec.data.moments import moments_of
from smec.vectors import BLOCK_ROWS, FloatArray, normalise


def corpus(rows: int = 200, width: int = 10) -> FloatArray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((rows, width)) + 0.5) * np.linspace(3, 0.5, width)


def up_to_sign(columns: FloatArray) -> FloatArray:
    largest = np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[None, :], axis=0)
    return columns * np.sign(largest)


def test_uncentred_axes_are_the_singular_vectors_of_the_unit_length_corpus() -> None:
    reference = TruncatedSVD(4, algorithm="arpack", random_state=0).fit(
        normalise(corpus()).astype(np.float64)
    )
    np.testing.assert_allclose(
        fit_pca(Dataset(corpus()), (4,)).matrix, up_to_sign(reference.components_.T), atol=1e-5
    )


def test_centred_axes_and_mean_are_those_of_principal_component_analysis() -> None:
    rows = normalise(corpus()).astype(np.float64)
    reference = PCA(4).fit(rows)
    fitted = fit_pca(Dataset(corpus()), (4,), centred=True)
    np.testing.assert_allclose(fitted.matrix, up_to_sign(reference.components_.T), atol=1e-5)
    expected = (rows - reference.mean_) @ up_to_sign(reference.components_.T)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.encode(corpus()), expected, atol=1e-5)


def test_all_axes_together_keep_every_cosine() -> None:
    encoded = fit_pca(Dataset(corpus()), (10,)).encode(corpus())
    unit = normalise(corpus())
    np.testing.assert_allclose(encoded @ encoded.T, unit @ unit.T, atol=1e-6)


def test_whitening_by_half_leaves_each_axis_the_root_of_its_eigenvalue() -> None:
    rows = normalise(corpus()).astype(np.float64)
    spectrum = np.linalg.svd(rows, compute_uv=False)[:4] ** 2 / len(rows)
    small = rows @ fit_whitened_pca(Dataset(corpus()), (4, 2)).matrix
    np.testing.assert_allclose(small.T @ small / len(rows), np.diag(np.sqrt(spectrum)), atol=1e-6)


def test_eigenvalues_of_axes_without_any_spread_can_be_divided_by() -> None:
    rows = normalise(corpus(3))
    moment = moments_of(rows).second
    found = eigenvalues(moment, principal_axes(moment))
    expected = np.linalg.svd(rows.astype(np.float64), compute_uv=False) ** 2 / 3
    np.testing.assert_allclose(found[:3], expected, rtol=1e-6)
    np.testing.assert_allclose(found[3:], 1e-6 * found[0])
    assert (eigenvalues(np.zeros((2, 2)), np.eye(2)) > 0).all()


@given(st.integers(1, 7), st.integers(0, 2**16))
def test_axes_are_orthonormal_by_descending_eigenvalue_with_a_positive_largest_entry(
    width: int, seed: int
) -> None:
    factor = np.random.default_rng(seed).standard_normal((width, width))
    moment = factor @ factor.T
    axes = principal_axes(moment)
    np.testing.assert_allclose(axes.T @ axes, np.eye(width), atol=1e-9)
    spread = axes.T @ moment @ axes
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-8)
    assert (np.diff(np.diag(spread)) <= 1e-9).all()
    assert (axes[np.abs(axes).argmax(axis=0), range(width)] > 0).all()


@pytest.mark.parametrize("rows", [1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 7])
def test_blocks_of_a_half_precision_memory_map_add_up_to_the_whole(tmp_path: Path, rows: int) -> None:
    np.save(tmp_path / "corpus.npy", corpus(rows, 5).astype(np.float16))
    mapped = np.load(tmp_path / "corpus.npy", mmap_mode="r")
    unit = normalise(np.asarray(mapped)).astype(np.float64)
    np.testing.assert_allclose(moments_of(mapped).second, unit.T @ unit / rows, atol=1e-12)
    np.testing.assert_allclose(moments_of(mapped).mean, unit.mean(axis=0), atol=1e-12)
