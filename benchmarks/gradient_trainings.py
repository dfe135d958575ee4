"""Trainings of a linear layer whose gradients are recorded, SMRL's and MRL's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec import Dataset
from smec.config import OptimiserConfig, ValidationConfig
from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic
from smec.training.batches import Batch, Batches
from smec.training.held_out import training_folds
from smec.training.pool import fold_pools, judged_train_queries

Document = dict[str, Any]
Weights = Mapping[int, float]
"""Part of D that is the size (2: D/2) -> factor of its loss."""

EPOCHS = 25
"""For vectors up to 768 wide; fewer for wider ones, so that a dataset takes two minutes of a core."""
MOST_QUERIES, PROBES = 768, 6
"""Train queries of an epoch; mini-batches, the same at every epoch, whose gradients are measured."""
OPTIONS = OptimiserConfig(learning_rate=1e-3, batch=128, negatives=512)

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rank": lambda scores, grades: pairwise_logistic(scores, grades, 0.05),
    "squared error": lambda scores, grades: functional.mse_loss(scores, grades / grades.max()),
    "cross-entropy": lambda scores, grades: info_nce(scores, grades, 0.05),
}
STAGE: Weights = {2: 1.0, 4: 1.0}
MRL, WEIGHTED, SAME_START = "MRL", "MRL, weighted", "SMRL, same start"
FIRST, SMRL, NEXT = "SMRL, first stage", "SMRL", "SMRL, next stage"
TRAININGS: dict[str, tuple[Weights, str | None]] = {
    MRL: ({2: 1.0, 4: 1.0, 8: 1.0}, None),
    WEIGHTED: ({2: 12 / 7, 4: 6 / 7, 8: 3 / 7}, None),
    SAME_START: (STAGE, None),
    FIRST: ({1: 1.0, 2: 1.0}, None),
    SMRL: (STAGE, FIRST),
    NEXT: ({4: 1.0, 8: 1.0}, SMRL),
}
"""Name -> losses, and the training that comes before and is frozen."""


@dataclass(frozen=True)
class Vectors:
    """Unit-length queries and documents as a training takes them, and what is drawn of them."""

    queries: Tensor
    documents: Tensor
    training: Batches
    probes: Sequence[Batch]

    def after(self, layer: Tensor) -> Vectors:
        """What a frozen layer (D, w) makes of them; the dimensions from w on stay as they were."""
        square = torch.cat([layer, torch.eye(len(layer))[:, layer.shape[1] :]], dim=1)
        queries, documents = (functional.normalize(x @ square) for x in (self.queries, self.documents))
        return replace(self, queries=queries, documents=documents)

    def loss(self, batch: Batch, layer: Tensor, loss: str, weights: Weights) -> Tensor:
        """Weighted sum of a loss over the sizes."""
        wide = (self.queries[batch.queries] @ layer, self.documents[batch.documents] @ layer)
        total = torch.zeros(())
        for part, weight in weights.items():
            queries, documents = (functional.normalize(x[:, : len(layer) // part]) for x in wide)
            total = total + weight * LOSSES[loss](queries @ documents.T, batch.grades)
        return total


def figures(dataset: Dataset, seed: int = 0, epochs: int | None = None) -> Document:
    """Train all of `TRAININGS` with all of `LOSSES`, on train queries alone, and record gradients.

    Returns
    -------
    dict
        ``losses[loss][training]`` has a dict per epoch, from 0: ``first`` and ``second``, the mean absolute
        gradient of each half; ``spread``; ``noise``; from epoch 1 on ``moved_first`` and ``moved_second``;
        for MRL ``stage_spread``, the spread that SMRL's losses have at MRL's weights.
    """
    folds = training_folds(judged_train_queries(dataset), ValidationConfig(folds=1), seed=seed)
    (pool,) = fold_pools(dataset, folds, seed=seed, limit=100_000)
    kept = np.random.default_rng([seed, 7]).permutation(len(pool.queries))[:MOST_QUERIES]
    pool = replace(pool, queries=pool.queries[kept], positives=tuple(pool.positives[row] for row in kept))
    if epochs is None:
        epochs = round(EPOCHS * min(1.0, (768 / dataset.dim) ** 2))
    batches, others = Batches(pool, OPTIONS, seed, 0), Batches(pool, OPTIONS, seed, 1)
    start = Vectors(pool.queries, pool.documents, batches, [others.draw(n) for n in range(PROBES)])
    losses: Document = {loss: {} for loss in LOSSES}
    for loss, runs in losses.items():
        left: dict[str | None, Vectors] = {None: start}
        for name, (_, before) in TRAININGS.items():
            runs[name], layer = _train(name, left[before], loss, epochs)
            left[name] = left[before].after(layer)
        runs.pop(FIRST)  # was there to be followed
    return {"dataset": dataset.name, "seed": seed, "losses": losses}


def _train(name: str, vectors: Vectors, loss: str, epochs: int) -> tuple[list[Document], Tensor]:
    weights, dim = TRAININGS[name][0], vectors.documents.shape[1]
    steps = max(1, len(vectors.queries) // OPTIONS.batch)
    layer = torch.eye(dim, dim // min(weights)).requires_grad_()
    adam = torch.optim.Adam([layer], lr=OPTIONS.learning_rate)
    records: list[Document] = []
    for epoch in range(epochs + 1):
        before = layer.detach().clone()
        for step in range((epoch - 1) * steps, epoch * steps) if epoch else ():
            adam.zero_grad()
            total = vectors.loss(vectors.training.draw(step), layer, loss, weights)
            total.backward()  # type: ignore[no-untyped-call]
            adam.step()
        if name == FIRST:
            continue
        record = _probe(vectors, layer.detach(), loss, weights)
        if name == MRL:
            record["stage_spread"] = _probe(vectors, layer.detach(), loss, STAGE)["spread"]
        if epoch:
            record["moved_first"], record["moved_second"] = _halves(layer.detach() - before)
        records.append({figure: float(f"{value:.4g}") for figure, value in record.items()})
    return records, layer.detach()


def _probe(vectors: Vectors, layer: Tensor, loss: str, weights: Weights) -> dict[str, float]:
    block, rest = layer.tensor_split([len(layer) // 4], dim=1)
    block = block.clone().requires_grad_()
    losses = (vectors.loss(b, torch.cat([block, rest], dim=1), loss, weights) for b in vectors.probes)
    gradients = torch.stack([torch.autograd.grad(value, block)[0] for value in losses])
    mean = gradients.mean(dim=0)
    first, second = _halves(mean)
    noise = gradients.var(dim=0).sum() / gradients.square().mean(dim=0).sum()
    return {"first": first, "second": second, "spread": float(mean.var()), "noise": float(noise)}


def _halves(weights: Tensor) -> tuple[float, float]:
    eighth = len(weights) // 8
    return float(weights[:, :eighth].abs().mean()), float(weights[:, eighth : 2 * eighth].abs().mean())


def rule(name: str) -> tuple[float, float]:
    """What the push of 1/d says: first by second half, and MRL's spread by this training's."""
    pushes = [{part: weight * part for part, weight in TRAININGS[n][0].items()} for n in (name, MRL)]
    halves = [np.array([sum(p.values()), sum(p.values()) - p.get(8, 0.0)]) for p in pushes]
    return float(halves[0][0] / halves[0][1]), float((halves[1] @ halves[1]) / (halves[0] @ halves[0]))
