"""Joint MRL (arXiv 2205.13147) with a single linear layer: InfoNCE summed over all sizes at once.

::

    L = sum_d c_d InfoNCE(normalise(x W[:, :d])),   W of shape (D, d_max)

"mrl" has c_d = 1, as in the paper. "mrl-weighted" has c_d in proportion to d, with mean 1: the leading
columns are in the loss of every size and small sizes push them harder, which these weights make even.

Read as follows. The paper trains a whole network on classes; what remains of it over frozen embeddings
and judged queries is the layer and the sum. W starts as the leading columns of the identity, in the
given coordinates or, by default, those of the corpus' principal axes (uncentred PCA), which is far
better than a random start. The layer has no bias.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from smec.baselines.learning import LearningSettings, Lesson, Parameters, lessons, prefixes
from smec.data import Dataset
from smec.encoder import Projection
from smec.losses.contrastive import info_nce
from smec.training.batches import Batch
from smec.vectors import Float32Array

SETTINGS = LearningSettings(learning_rate=3e-3, temperature=0.05, start="pca", batch=64, hard_negatives=8)
"""Of these the paper gives none for frozen embeddings."""


def fit_mrl(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> Projection:
    """Train one layer for all sizes, each with the same weight in the loss.

    Parameters
    ----------
    dataset : Dataset
        Its judged train queries are learned from.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    seed : int
        Of the held-out queries and of the batches.
    settings : LearningSettings

    Raises
    ------
    DataError
        No judged train queries.
    """
    folds = lessons(dataset, dims, settings, supervised=True, seed=seed)
    return Projection(_mean_layer(folds, torch.ones(len(dims))), dims, "mrl")


def fit_weighted_mrl(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> Projection:
    """As `fit_mrl`, with weights in proportion to the size."""
    folds = lessons(dataset, dims, settings, supervised=True, seed=seed)
    sizes = torch.tensor(dims, dtype=torch.float32)
    return Projection(_mean_layer(folds, sizes / sizes.mean()), dims, "mrl-weighted")


def _mean_layer(folds: list[Lesson], weights: Tensor) -> Float32Array:
    """Mean over the folds, whose layers start alike, so that their columns mean the same."""
    mean: Float32Array = np.mean([_train(lesson, weights) for lesson in folds], axis=0)
    return mean


def _train(lesson: Lesson, weights: Tensor) -> Float32Array:
    documents = lesson.pool.documents @ lesson.basis
    queries = lesson.pool.queries @ lesson.basis

    def loss(leaves: Parameters, batch: Batch, step: int) -> Tensor:
        sides = (queries[batch.queries], documents[batch.documents])
        small = (prefixes(rows @ leaves["layer"], lesson.dims) for rows in sides)
        temperature = lesson.settings.temperature
        parts = [info_nce(q @ d.T, batch.grades, temperature) for q, d in zip(*small, strict=True)]
        return weights @ torch.stack(parts)

    def forward(parameters: Parameters, originals: Tensor) -> Tensor:
        return originals @ (lesson.basis @ parameters["layer"])

    learned = lesson.learn({"layer": torch.eye(lesson.dim, lesson.dims[0])}, forward, loss)
    return (lesson.basis @ learned["layer"]).numpy()
