"""Query adapter: one linear layer on the query's vector alone, for documents that PCA made small once.

::

    q' = q W,   L = InfoNCE(normalise(q'), d),   W of shape (d, d)

q and d are unit-length PCA vectors of one size. Embedding libraries offer it as fine-tuning for a finished
index: documents keep their vectors (LlamaIndex calls it a linear adapter, trained with the multiple negatives
ranking loss, which is InfoNCE of cosines).

Read as follows. Every size has a layer of its own, with its own training and early stopping. W starts as the
identity, so that step 0 is PCA, and has no bias. Besides the positives of the other queries, random documents
are negatives, as for the other rivals.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.baselines.learning import LearningSettings, Lesson, Parameters, lessons
from smec.data import Dataset
from smec.encoder import Projection, ProjectionPerSize
from smec.losses.contrastive import info_nce
from smec.training.batches import Batch
from smec.vectors import Float32Array

SETTINGS = LearningSettings(learning_rate=3e-3, temperature=0.05, start="pca", batch=64, steps=1000)
"""Steps are those of each size. The temperature is that of the loss's usual scale, 20; the learning rate was
tuned, and near documents gained nothing (docs/benchmarks.md)."""


def fit_query_adapter(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> ProjectionPerSize:
    """Train a layer per size, from PCA's vectors of queries to those of the documents that answer them.

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
    basis = folds[0].basis.numpy()
    documents = {dim: Projection(basis[:, :dim], (dim,), "query-adapter") for dim in dims}
    queries = {
        dim: Projection(
            np.mean([_train(lesson, dim, stage) for lesson in folds], axis=0), (dim,), "query-adapter"
        )
        for stage, dim in enumerate(dims)
    }
    return ProjectionPerSize(documents, "query-adapter", queries=queries)


def _train(lesson: Lesson, dim: int, stage: int) -> Float32Array:
    """Matrix (D, dim) of queries."""
    basis = lesson.basis[:, :dim]
    documents = functional.normalize(lesson.pool.documents @ basis)
    queries = functional.normalize(lesson.pool.queries @ basis)

    def loss(leaves: Parameters, batch: Batch, step: int) -> Tensor:
        asked = functional.normalize(queries[batch.queries] @ leaves["layer"])
        scores = asked @ documents[batch.documents].T
        return info_nce(scores, batch.grades, lesson.settings.temperature)

    def documents_as_they_are(parameters: Parameters, originals: Tensor) -> Tensor:
        return originals @ basis

    def adapted(parameters: Parameters, originals: Tensor) -> Tensor:
        return originals @ (basis @ parameters["layer"])

    learned = lesson.learn(
        {"layer": torch.eye(dim)},
        documents_as_they_are,
        loss,
        dims=(dim,),
        stage=stage,
        forward_queries=adapted,
    )
    return (basis @ learned["layer"]).numpy()
