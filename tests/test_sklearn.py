"""The transformer keeps scikit-learn's contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.estimator_checks import parametrize_with_checks

from smec.demo import demo_dataset
from smec.sklearn import EmbeddingCompressor
from smec.vectors import FloatArray


def rows(count: int = 300) -> FloatArray:
    return demo_dataset().corpus.vectors[:count].astype(np.float32)


NOT_APPLICABLE = {
    "check_estimators_dtypes": "it draws rows of zeros, which have no direction: they are refused",
}


@parametrize_with_checks([EmbeddingCompressor()], expected_failed_checks=lambda _: NOT_APPLICABLE)  # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_makes_unit_rows_of_the_size_asked_for() -> None:
    compressor = EmbeddingCompressor(dim=24, dims=(96, 24))
    small = compressor.fit_transform(rows())
    assert (small.shape, small.dtype, compressor.n_features_in_) == ((300, 24), np.float32, 384)
    np.testing.assert_array_equal(small, compressor.compressor_.encode(rows(), 24))
    assert compressor.compressor_.dims == (96, 24)
    assert not compressor.compressor_.manifest.supervised
    assert compressor.get_feature_names_out()[[0, -1]].tolist() == [
        "embeddingcompressor0",
        "embeddingcompressor23",
    ]


def test_it_is_a_step_of_a_pipeline_and_the_same_for_the_same_seed() -> None:
    step = EmbeddingCompressor(dims=(16,), random_state=3)
    first = make_pipeline(Normalizer(), step).fit_transform(rows(80))
    again = make_pipeline(Normalizer(), clone(step)).fit_transform(rows(80))
    np.testing.assert_array_equal(first, again)


def test_what_cannot_be_used_is_a_value_error() -> None:
    fitted = EmbeddingCompressor(dims=(16,)).fit(rows(40))
    with pytest.raises(ValueError, match="zero vector"):
        fitted.transform(np.zeros((2, 384)))
    with pytest.raises(ValueError, match="383 features"):
        fitted.transform(rows(5)[:, :383])
    with pytest.raises(ValueError, match="minimum of 4"):
        EmbeddingCompressor().fit(rows(3))
    with pytest.raises(ValueError, match="sizes must descend"):
        EmbeddingCompressor(dims=(8, 16)).fit(rows(40))
    with pytest.raises(ValueError, match="32 is not served"):
        EmbeddingCompressor(dim=32, dims=(16,)).fit(rows(40))
