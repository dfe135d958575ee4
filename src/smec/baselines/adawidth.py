"""AdaWidth (arXiv 2608.23862): a trained rotation of the whole space, of which prefixes are served.

The rotation is a product of few Householder reflections::

    R = H_1 H_2 ... H_F,  H_f = I - 2 v_f v_fᵀ / |v_f|²

applied to queries and documents alike. R is orthogonal whatever the v_f are, so that full-size scores
stay exactly as they were, and there are only F D weights. The v_f learn from InfoNCE, summed over the
sizes, against the other documents of the batch.

Read as follows. Of the paper, the rotation is here: the width that boosted trees choose for each query
is left out, as every method is measured at given sizes. Its penalty for changed full-size scores is
left out too: for a rotation it is zero. Its learned parts have 10 to 200 K weights, which 64 reflections
have from 160 dims on; with the 8 of its smallest variant the rotation gained a quarter as much over PCA
on scifact-mpnet. Of the start we could read nothing: R starts as the identity, in which each pair of
equal reflections cancels, and by default turns the principal axes of the corpus (uncentred PCA, itself
a rotation, so that the promise for the full size holds), which the paper may not have given it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smec.baselines.learning import LearningSettings, Lesson, Parameters, lessons, prefixes
from smec.data import Dataset
from smec.encoder import Projection
from smec.losses.contrastive import info_nce
from smec.training.batches import Batch
from smec.training.reflections import rotate, start_reflections

SETTINGS = LearningSettings(learning_rate=3e-4, temperature=0.05, start="pca")
"""Of these its paper gives none that we could read."""

REFLECTIONS = 64
"""F, even: 49 K weights at 768 dims."""


def fit_adawidth(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> Projection:
    """Train the reflections for all sizes at once and fold them into one matrix.

    Parameters
    ----------
    dataset : Dataset
        Its judged train queries are learned from.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    seed : int
        Of the reflections' start and of the batches.
    settings : LearningSettings

    Raises
    ------
    DataError
        No judged train queries.
    """
    folds = lessons(dataset, dims, settings, supervised=True, seed=seed)
    rotation = mean_rotation([_train(lesson) for lesson in folds])
    return Projection(rotation[:, : dims[0]].float().numpy(), dims, "adawidth")


def mean_rotation(rotations: list[Tensor]) -> Tensor:
    """Orthogonal matrix nearest to the mean of ``rotations``, each of shape (D, D)."""
    if len(rotations) == 1:
        return rotations[0]
    left, _, right = torch.linalg.svd(torch.stack(rotations).mean(dim=0))
    nearest: Tensor = left @ right
    return nearest


def _train(lesson: Lesson) -> Tensor:
    """(D, D), float64: the product of the reflections, basis included."""
    documents = lesson.pool.documents @ lesson.basis
    queries = lesson.pool.queries @ lesson.basis
    temperature = lesson.settings.temperature

    def loss(leaves: Parameters, batch: Batch, step: int) -> Tensor:
        sides = (queries[batch.queries], documents[batch.documents])
        small = (prefixes(rotate(leaves["v"], rows), lesson.dims) for rows in sides)
        parts = [info_nce(q @ d.T, batch.grades, temperature) for q, d in zip(*small, strict=True)]
        return torch.stack(parts).sum()

    def forward(parameters: Parameters, originals: Tensor) -> Tensor:
        return rotate(parameters["v"], originals @ lesson.basis)

    learned = lesson.learn({"v": start_reflections(REFLECTIONS, lesson.dim, lesson.seed)}, forward, loss)
    return rotate(learned["v"].double(), lesson.basis.double())
