"""Matryoshka-Adaptor (arXiv 2407.20243): one residual MLP for all sizes, whose losses are summed.

Read as follows. L_rec is the mean of ``|f(c)|``; sums over pairs are means, so that the weights do not
depend on the batch; the sum over sizes stays a sum. Cosines are of the adapted prefixes against
the full originals. The ranking loss has a temperature, of which the paper has none (1): .2 scored higher
when tuned. f has as many outputs as the largest size that is served, as no prefix sees more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smec.baselines.learning import LearningSettings, Lesson, Parameters, lessons, prefixes
from smec.baselines.residual_mlp import AdaptedEncoder, adapt, change, mean_adaptor, start_parameters
from smec.data import Dataset
from smec.losses.ranking import pairwise_logistic
from smec.losses.similarity import absolute_difference
from smec.training.batches import Batch

SETTINGS = LearningSettings(learning_rate=1e-3, temperature=0.2, start="pca", batch=128, patience=500)
"""Table 5: Adam 1e-3, batch 128, patience 500. The start at the principal axes was tuned too."""

NEIGHBOURS = 10
"""k of L_topk, which the paper does not fix in what we could read."""


def fit_matryoshka_adaptor(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> AdaptedEncoder:
    """Train without labels first (Eq. 4), then go on with the ranking loss as well (Eq. 6).

    Raises
    ------
    DataError
        No judged train queries.
    """
    folds = lessons(dataset, dims, settings, supervised=True, seed=seed)
    learned = mean_adaptor([_train_both(lesson) for lesson in folds])
    return AdaptedEncoder(folds[0].basis, dict.fromkeys(dims, learned), "matryoshka-adaptor")


def _train_both(lesson: Lesson) -> dict[str, Tensor]:
    trainer = _Trainer(lesson)
    start = start_parameters(lesson.dim, lesson.dims[0], lesson.seed)
    return trainer.train(trainer.train(start, ranked=False, stage=0), ranked=True, stage=1)


def fit_unsupervised_matryoshka_adaptor(
    dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0, settings: LearningSettings = SETTINGS
) -> AdaptedEncoder:
    """Train without labels: L_topk + L_pair + L_rec (Eq. 4, both weights 1)."""
    (lesson,) = lessons(dataset, dims, settings, supervised=False, seed=seed)
    learned = _Trainer(lesson).train(start_parameters(lesson.dim, dims[0], seed), ranked=False, stage=0)
    return AdaptedEncoder(lesson.basis, dict.fromkeys(dims, learned), "matryoshka-adaptor-unsupervised")


class _Trainer:
    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._documents = lesson.pool.documents @ lesson.basis
        self._queries = lesson.pool.queries @ lesson.basis

    def train(self, parameters: dict[str, Tensor], *, ranked: bool, stage: int) -> dict[str, Tensor]:
        def loss(leaves: Parameters, batch: Batch, step: int) -> Tensor:
            total = self._similarity_loss(leaves, self._documents[batch.documents])
            return total + self._rank_loss(leaves, batch) if ranked else total

        return self._lesson.learn(parameters, self._forward, loss, stage=stage)

    def _forward(self, parameters: Parameters, originals: Tensor) -> Tensor:
        return adapt(parameters, originals @ self._lesson.basis)

    def _similarity_loss(self, leaves: Parameters, documents: Tensor) -> Tensor:
        teacher = documents @ documents.T
        others = teacher.clone().fill_diagonal_(-2.0)
        nearest = others.topk(min(NEIGHBOURS, len(documents) - 1)).indices
        added = change(leaves, documents)
        total = added.abs().mean()
        for small in prefixes(documents[:, : added.shape[1]] + added, self._lesson.dims):
            student = small @ small.T
            total = total + absolute_difference(student, teacher)
            total = total + absolute_difference(student.gather(1, nearest), teacher.gather(1, nearest))
        return total

    def _rank_loss(self, leaves: Parameters, batch: Batch) -> Tensor:
        queries = prefixes(adapt(leaves, self._queries[batch.queries]), self._lesson.dims)
        documents = prefixes(adapt(leaves, self._documents[batch.documents]), self._lesson.dims)
        parts = [
            pairwise_logistic(q @ d.T, batch.grades, self._lesson.settings.temperature)
            for q, d in zip(queries, documents, strict=True)
        ]
        return torch.stack(parts).sum()
