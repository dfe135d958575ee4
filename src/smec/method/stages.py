"""SMRL: sizes trained one after another, each stage with only its own two sizes in the loss
(paper, section 3.2: ``L_k = L(x[1:D_{k-1}]) + L(x[1:D_k])``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from smec.config import TrainConfig
from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic
from smec.losses.similarity import absolute_difference, listwise_kl
from smec.method.memory import CrossBatchMemory
from smec.method.selection import column_order, training_mask
from smec.training.batches import Batch, Batches
from smec.training.pool import Pool


@dataclass(frozen=True)
class StagePlan:
    """What one stage trains."""

    number: int
    """From 0; seeds the stage's draws."""
    columns: int
    """Leading columns of the layer that the stage trains."""
    sizes: tuple[int, ...]
    """In the loss, descending; the last one is new."""
    served: tuple[int, ...]
    """Sizes whose stored form this stage decides; the checks score these."""
    steps: int
    select: bool
    """ADS chooses the new size's dimensions among the columns."""


def plan_stages(config: TrainConfig, input_dim: int, dims: tuple[int, ...]) -> list[StagePlan]:
    """The stages of a training for ``dims``, of embeddings of ``input_dim``.

    With nested layers a stage refines the columns of its two sizes in the one matrix; D itself
    is not served, so the first stage has only d_1 in its loss unless ADS selects from D. With
    fresh layers every stage has a square layer and both sizes in its loss, as the paper draws it.
    """
    steps, ads = config.optimiser.steps, config.selection == "ads"
    if config.schedule == "joint":
        return [StagePlan(0, dims[0], dims, dims, steps * len(dims), False)]
    plans = []
    for number, (wide, dim) in enumerate(zip((input_dim, *dims), dims, strict=False)):
        nested = config.layers == "nested"
        both = wide != dim and (number > 0 or ads or not nested)
        sizes = (wide, dim) if both else (dim,)
        served = tuple(size for size in sizes if nested and size in dims) or (dim,)
        longer = round(steps * max(1.0, dims[0] / sizes[0]) ** config.optimiser.growth)
        plans.append(StagePlan(number, sizes[0], sizes, served, longer, ads and both))
    return plans


class Stage:
    """The loss of one stage as a function of its parameters.

    Parameters
    ----------
    plan : StagePlan
    config : TrainConfig
    pool : Pool
        Original embeddings, which pick and weigh the memory's neighbours.
    documents, queries : Tensor of shape (n, w) and (q, w)
        The same rows as the stage takes them: in the start's basis (nested), or as the frozen
        stage before left them (fresh).
    layer : Tensor of shape (w, >= columns)
        Where the stage starts; its parameters are a residual on the leading columns.
    """

    def __init__(
        self,
        plan: StagePlan,
        config: TrainConfig,
        pool: Pool,
        documents: Tensor,
        queries: Tensor,
        layer: Tensor,
    ) -> None:
        self.plan = plan
        self._config = config
        self._pool = pool
        self._documents = documents
        self._queries = queries
        self._layer = layer
        self._batches = Batches(pool, config.optimiser, config.seed, plan.number)
        self.memory = CrossBatchMemory(pool, config.memory, config.seed, plan.number)

    def parameters(self) -> dict[str, Tensor]:
        """Zero residual, and with ADS zero logits: the stage starts as its start, prefix kept."""
        parameters = {"residual": torch.zeros(len(self._layer), self.plan.columns)}
        if self.plan.select:
            parameters["logits"] = torch.zeros(self.plan.columns)
        return parameters

    def matrix(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The layer with trained columns, selected dimensions in front (w, columns of the layer)."""
        columns = self.plan.columns
        trained = self._layer[:, :columns] + parameters["residual"].detach()
        if self.plan.select:
            trained = trained[:, column_order(parameters["logits"], self.plan.sizes[-1])]
        return torch.cat([trained, self._layer[:, columns:]], dim=1)

    def loss(self, parameters: Mapping[str, Tensor], step: int) -> Tensor:
        """L_rank + weight * L_memory, summed over the stage's sizes; L_memory alone without labels."""
        batch = self._batches.draw(step)
        self.memory.push(batch.documents)
        project = _Projection(
            self._layer[:, : self.plan.columns] + parameters["residual"],
            self.plan.sizes,
            self._mask(parameters, step),
        )
        memory = self._config.memory
        total = torch.zeros(())
        if self._config.supervised:
            total = total + self._rank_loss(batch, project)
        if memory.loss != "none":
            total = total + self._memory_weight() * self._memory_loss(batch, project, step)
        return total

    def _memory_weight(self) -> float:
        if not self._config.supervised:
            return 1.0
        weight = self._config.memory.weight
        return min(3.0, max(0.1, 300 / len(self._queries))) if weight is None else weight

    def _mask(self, parameters: Mapping[str, Tensor], step: int) -> Tensor | None:
        if not self.plan.select:
            return None
        key = [self._config.seed, 3, self.plan.number, step]
        return training_mask(parameters["logits"], self.plan.sizes[-1], step / self.plan.steps, key)

    def _rank_loss(self, batch: Batch, project: _Projection) -> Tensor:
        rank = self._config.rank
        loss = info_nce if rank.loss == "infonce" else pairwise_logistic
        queries = project(self._queries[batch.queries])
        documents = project(self._documents[batch.documents])
        parts = [
            loss(q @ d.T, batch.grades, rank.temperature) for q, d in zip(queries, documents, strict=True)
        ]
        return torch.stack(parts).sum()

    def _memory_loss(self, batch: Batch, project: _Projection, step: int) -> Tensor:
        memory = self._config.memory
        # Without labels the batch is nothing but anchors.
        anchors = batch.documents[: memory.anchors] if self._config.supervised else batch.documents
        originals = torch.cat([self._pool.queries[batch.queries], self._pool.documents[anchors]])
        teacher, rows, places = self.memory.neighbours(originals, step)
        small_anchors = project(torch.cat([self._queries[batch.queries], self._documents[anchors]]))
        small_rows = project(self._documents[rows])
        parts = []
        for anchor, row in zip(small_anchors, small_rows, strict=True):
            student = (anchor @ row.T).gather(1, places)
            if memory.loss == "listwise":
                parts.append(listwise_kl(student, teacher, memory.temperature))
            else:
                parts.append(absolute_difference(student, teacher))
        return torch.stack(parts).sum()


@dataclass(frozen=True)
class _Projection:
    """Rows -> their unit-length small vectors, one tensor per size of the stage."""

    matrix: Tensor
    sizes: tuple[int, ...]
    mask: Tensor | None

    def __call__(self, rows: Tensor) -> list[Tensor]:
        wide = rows @ self.matrix
        vectors = [functional.normalize(wide[:, :size]) for size in self.sizes]
        if self.mask is not None:  # zeros in place of what is not kept: the cosine is the same
            vectors[-1] = functional.normalize(wide * self.mask)
        return vectors
