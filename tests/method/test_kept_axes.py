"""Training in the leading principal axes: how many are kept, and what larger sizes are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smec import evaluate, train
from smec.artefact import Validation
from smec.baselines.pca import principal_axes
from smec.card import remarks
from smec.compressor import Compressor
from smec.config import build_config
from smec.data import Dataset, Embeddings
from smec.method.axes import tempering_scale
from smec.method.kept_axes import AGREEMENT, trained_sizes
from smec.vectors import Float32Array, normalise

WIDTH, RANK = 128, 40
FEW: dict[str, Any] = {
    "optimiser": {"steps": 40, "passes": 0, "batch": 32, "negatives": 64},
    "validation": {"gate": False},
}


def dataset(width: int = WIDTH, rank: int = RANK, documents: int = 400, *, queries: int = 80) -> Dataset:
    """Documents that vary along ``rank`` directions, and a little along all; each query asks for one.

    Queries share all directions with their document but the eight strongest.
    """
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    latent = rng.standard_normal((documents, rank))
    latent[:, :8] *= 1.5
    asked = np.arange(queries)
    near = latent[asked] + 0.3 * rng.standard_normal((queries, rank))
    near[:, :8] = 1.5 * rng.standard_normal((queries, 8))

    def whole(rows: Any) -> Float32Array:
        noise = 0.1 * rng.standard_normal((len(rows), width))
        noise[:, :rank] += rows
        return normalise(noise.astype(np.float32) @ turn)

    ids = [f"d{row}" for row in range(documents)]
    corpus = Embeddings(ids, whole(latent), name="corpus")
    if not queries:
        return Dataset(corpus, name="wide")
    names = [f"q{row}" for row in range(queries)]
    qrels = {name: {f"d{row}": 1} for name, row in zip(names, asked, strict=True)}
    return Dataset(corpus, Embeddings(names, whole(near), name="queries"), {"train": qrels}, "wide")


def validation(compressor: Compressor) -> Validation:
    assert compressor.manifest.validation is not None
    return compressor.manifest.validation


@pytest.mark.parametrize("supervised", [True, False])
def test_as_many_axes_are_kept_as_the_corpus_varies_along(supervised: bool) -> None:
    config = build_config(supervised=supervised, dims=(64, 32, 16), **FEW)
    record = validation(train(dataset(), config=config))
    assert record.axes is not None and record.axes_agreement is not None
    assert RANK - 8 <= record.axes <= RANK + 8  # in steps of 16
    assert record.axes_agreement >= AGREEMENT
    said = remarks(record)[0]
    assert said.startswith(f"Trained in the {record.axes} leading principal axes, which keep 9")
    assert said.endswith("Untrained axes complete 64 dims.")


def test_sizes_above_the_rank_have_the_axes_of_the_start_behind_the_trained_columns() -> None:
    data = dataset()
    compressor = train(data, config=build_config(dims=(96, 64, 16), candidates=(), **FEW))
    rank = validation(compressor).axes
    assert rank is not None and rank < 64
    matrix, bias = compressor.block(96).leading(96)
    assert bias is None
    moment = data.moments.second
    axes = principal_axes(moment)
    start = axes * tempering_scale(axes, moment, 0.3)
    np.testing.assert_allclose(matrix[:, rank:], start[:, rank:96], rtol=1e-5, atol=1e-7)
    # What is trained stays within the kept axes.
    np.testing.assert_allclose(axes[:, rank:].T @ matrix[:, :rank], 0, atol=1e-6)
    assert np.abs(matrix[:, :rank] - start[:, :rank]).max() > 1e-3
    found = evaluate(data, [compressor], split="train").results
    assert min(result.metrics["nDCG@10"] for result in found if result.dim >= 64) > 0.9


def test_a_corpus_of_fewer_rows_than_dims_keeps_no_more_axes_than_rows() -> None:
    record = validation(train(dataset(documents=24, queries=12), config=build_config(dims=(32, 16), **FEW)))
    assert record.axes is not None and record.axes <= 24


def test_a_constant_column_is_no_axis_of_its_own() -> None:
    data = dataset()
    shifted = np.hstack([data.corpus.vectors, np.full((len(data.corpus), 1), 0.5, np.float32)])
    asked = np.hstack([data.queries.vectors, np.full((len(data.queries), 1), 0.5, np.float32)])  # type: ignore[union-attr,arg-type]
    whole = Dataset(
        Embeddings(data.corpus.ids, shifted, name="corpus"),
        Embeddings(data.queries.ids, asked, name="queries"),  # type: ignore[union-attr]
        data.qrels,
        "wide",
    )
    compressor = train(whole, config=build_config(dims=(64, 16), **FEW))
    assert np.isfinite(compressor.encode(shifted, 64)).all()
    assert (validation(compressor).axes or 0) < WIDTH


def test_the_paper_trains_in_the_given_coordinates() -> None:
    record = validation(train(dataset(), config=build_config("paper", dims=(32,), **FEW)))
    assert (record.axes, record.axes_agreement) == (None, None)


@pytest.mark.parametrize(
    ("sizes", "rank", "trained"),
    [
        ((384, 192, 96), 256, (256, 192, 96)),
        ((384, 192, 96), 192, (192, 96)),
        ((384, 192, 96), 400, (384, 192, 96)),
        ((384, 192, 96), 32, (32,)),
    ],
)
def test_sizes_that_are_trained(sizes: tuple[int, ...], rank: int, trained: tuple[int, ...]) -> None:
    assert trained_sizes(sizes, rank) == trained
