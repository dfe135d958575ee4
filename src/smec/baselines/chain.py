"""A chain of linear maps trained one after another, each from the size before (ZeroEntropy, 2026).

::

    x_0 = x,   x_k = normalise(x_{k-1} M_k),   M_k of shape (d_{k-1}, d_k)

M_k is trained with InfoNCE at size d_k alone while M_1 .. M_{k-1} stand still; for use, size d_k is
served by the product M_1 ... M_k.

Read as follows. The source, zeroentropy.dev/articles/matryoshka-is-dead, tells the form, halving
matrices that are multiplied into one per size, but not the loss, the start or the training; InfoNCE is
what smec and the other rivals here use. Each map takes the unit-length output of the one before, whose
length no cosine sees. By default it starts at the principal axes of that output (uncentred PCA), so that
no map starts below the best it could do without labels; with start "identity" it starts at the leading
columns. Where there are several folds, each has a chain of its own; their maps start at the axes of what the
mean of the chains gives, so that the chains can be averaged.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.baselines.learning import LearningSettings, Lesson, Parameters, lessons
from smec.baselines.pca import principal_axes
from smec.data import Dataset
from smec.data.moments import moments_of
from smec.encoder import Projection, ProjectionPerSize
from smec.losses.contrastive import info_nce
from smec.training.batches import Batch

SETTINGS = LearningSettings(
    learning_rate=1e-3, temperature=0.05, start="pca", batch=64, steps=1000, hard_negatives=8
)
"""Steps are those of each map. Of these the source gives none."""


def fit_chain(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> ProjectionPerSize:
    """Train a map per size, the largest first, each with its own early stopping.

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
    products = [torch.eye(dataset.dim)] * len(folds)
    served: dict[int, Projection] = {}
    for stage, dim in enumerate(dims):
        basis = _basis(folds[0], torch.stack(products).mean(dim=0))
        products = [
            _lengthen(lesson, product @ basis, dim, stage)
            for lesson, product in zip(folds, products, strict=True)
        ]
        served[dim] = Projection(torch.stack(products).mean(dim=0).numpy(), (dim,), "chain")
    return ProjectionPerSize(served, "chain")


def _lengthen(lesson: Lesson, before: Tensor, dim: int, stage: int) -> Tensor:
    """``before`` (D, d) times a map of shape (d, dim) that is trained on what it gives."""
    documents = functional.normalize(lesson.pool.documents @ before)
    queries = functional.normalize(lesson.pool.queries @ before)

    def loss(leaves: Parameters, batch: Batch, step: int) -> Tensor:
        small_queries = functional.normalize(queries[batch.queries] @ leaves["map"])
        small_documents = functional.normalize(documents[batch.documents] @ leaves["map"])
        return info_nce(small_queries @ small_documents.T, batch.grades, lesson.settings.temperature)

    def forward(parameters: Parameters, originals: Tensor) -> Tensor:
        return originals @ (before @ parameters["map"])

    start = {"map": torch.eye(before.shape[1], dim)}
    learned = lesson.learn(start, forward, loss, dims=(dim,), stage=stage)
    return before @ learned["map"]


def _basis(lesson: Lesson, product: Tensor) -> Tensor:
    """(d, d), orthonormal: coordinates of the output so far in which the next map starts."""
    if lesson.settings.start == "identity":
        return torch.eye(product.shape[1])
    output = functional.normalize(lesson.pool.documents @ product)
    return torch.from_numpy(principal_axes(moments_of(output.numpy()).second).astype(np.float32))
