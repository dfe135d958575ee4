"""What one stage of a training minimises: its losses, as a function of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from smec.config import TrainConfig
from smec.evaluation.neighbours import DUPLICATE
from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic, triples
from smec.losses.similarity import absolute_difference, listwise_kl
from smec.losses.straight_through import straight_through
from smec.method.memory import CrossBatchMemory
from smec.method.plans import StagePlan
from smec.method.selection import column_order, training_mask
from smec.method.stage_codecs import StageCodecs
from smec.training.batches import Batch, Batches
from smec.training.execution import ON_CPU, Execution
from smec.training.pool import Pool
from smec.training.reflections import rotate, start_reflections
from smec.vectors import IntArray

REFLECTIONS = 256
"""Most factors of a learned rotation, even: more of them gained nothing."""

SAME = -1.0
"""Cosine in place of that of a row with itself, which has nothing to teach."""

MANY = 1000
"""Queries to fit from which fewer random documents are taught."""


class Stage:
    """The loss of one stage as a function of its parameters.

    Parameters
    ----------
    plan : StagePlan
    config : TrainConfig
    pool : Pool
        Original embeddings, which pick and weigh the memory's neighbours.
    documents, queries, log : Tensor of shape (n, w), (q, w) and (u, w)
        The same rows as the stage takes them: in the start's basis (nested), or as the frozen
        stage before left them (fresh).
    layer : Tensor of shape (w, >= columns)
        Where the stage starts; its parameters change the leading columns.
    teacher : tensors of shape (q, v), (u, v) and (n, v), optional
        Unit rows that the sizes are distilled from: queries, log and documents.
    execution : Execution
        On its device are all tensors that are given. With several processes, `loss` is the share of one.
    """

    def __init__(
        self,
        plan: StagePlan,
        config: TrainConfig,
        pool: Pool,
        documents: Tensor,
        queries: Tensor,
        log: Tensor,
        layer: Tensor,
        teacher: tuple[Tensor, Tensor, Tensor] | None = None,
        execution: Execution = ON_CPU,
    ) -> None:
        self.plan = plan
        self._device = layer.device
        self._processes = execution.processes
        self._config = config
        self._pool = pool
        self._documents = documents
        self._queries = queries
        self._log = log
        self._layer = layer
        drawn = {"negatives": config.distillation.negatives} if plan.teacher == "layer" else {}
        options = config.optimiser.model_copy(update=drawn)
        labels = config.rank.weight > 0
        self._batches = Batches(pool, options, config.seed, plan.number, labels=labels)
        self.memory = CrossBatchMemory(pool, config.memory, config.seed, plan.number)
        self._codecs = StageCodecs(
            config.codec,
            [size for size in plan.sizes if self.codec(size) is not None],
            documents,
            config.seed,
            plan.number,
            config.validation.every,
        )
        self._teaching = teacher

    def parameters(self) -> dict[str, Tensor]:
        """Zero residual or no rotation, and with ADS zero logits: the stage starts as its start."""
        width = len(self._layer)
        if self._config.change == "rotation":
            count = min(REFLECTIONS, width + width % 2)
            drawn = start_reflections(count, width, self._config.seed).to(self._device)
            return {"reflections": drawn}
        parameters = {"residual": torch.zeros(width, self.plan.columns, device=self._device)}
        if self.plan.select:
            parameters["logits"] = torch.zeros(self.plan.columns, device=self._device)
        return parameters

    def kept(self, parameters: Mapping[str, Tensor]) -> list[int] | None:
        """With ADS the columns that the smallest size keeps, in order; None without."""
        if not self.plan.select:
            return None
        size = self.plan.sizes[-1]
        return column_order(parameters["logits"], size)[:size].tolist()

    def matrix(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The layer with trained columns, selected dimensions in front (w, columns of the layer)."""
        columns = self.plan.columns
        trained = self._trained(parameters).detach()
        if self.plan.select:
            trained = trained[:, column_order(parameters["logits"], self.plan.sizes[-1])]
        return torch.cat([trained, self._layer[:, columns:]], dim=1)

    def _trained(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The trained columns: the start's with the residual, or with the axes rotated before it."""
        start = self._layer[:, : self.plan.columns]
        if "residual" in parameters:
            return start + parameters["residual"]
        return rotate(parameters["reflections"], start.T).T

    def loss(self, parameters: Mapping[str, Tensor], step: int) -> Tensor:
        """L_rank + weights * (L_distil + L_memory), summed over the sizes; L_memory alone without labels."""
        batch = self._batches.draw(step)
        self.memory.push(batch.documents)
        matrix = self._trained(parameters)
        self._codecs.calibrate(matrix, step)
        project = _Projection(matrix, self.plan.sizes, self._mask(parameters, step))
        weight = self._memory_weight()
        total = torch.zeros((), device=self._device)
        if self._config.supervised or self._teaching is not None:
            total = total + self._query_loss(batch, project)
        if weight:
            total = total + weight * self._memory_loss(batch, project, step)
        return total

    def _memory_weight(self) -> float:
        memory = self._config.memory
        if memory.loss == "none":
            return 0.0
        if not self._config.supervised:
            return 1.0
        if memory.weight is not None:
            return memory.weight
        weight = min(3.0, 300 / len(self._queries))
        return weight if weight >= 0.5 else 0.0

    def _mask(self, parameters: Mapping[str, Tensor], step: int) -> Tensor | None:
        if not self.plan.select:
            return None
        key = [self._config.seed, 3, self.plan.number, step]
        return training_mask(parameters["logits"], self.plan.sizes[-1], step / self.plan.steps, key)

    def _query_loss(self, batch: Batch, project: _Projection) -> Tensor:
        """L_rank of the judged queries, and what the teacher says of queries and of random documents."""
        distillation = self._config.distillation
        part = self._part(batch)
        teacher = self._teacher(batch, part)
        count = len(part.queries)
        total = torch.zeros((), device=self._device)
        asked = project(torch.cat([self._queries[part.queries], self._log[part.log]]))
        for q, (d, stored) in zip(asked, self._batch_documents(batch, project), strict=True):
            scores = (torch.cat([q, d[part.anchors]]) @ stored.T).float()
            if self._config.rank.weight and len(batch.queries):
                total = total + self._config.rank.weight * self._rank_loss(scores[:count], part)
            if teacher is not None:
                student = scores.masked_fill(teacher == SAME, SAME)
                loss = _weighed(part.taught, listwise_kl, student, teacher, distillation.temperature)
                total = total + distillation.weight * loss
        return total

    def _part(self, batch: Batch) -> _Part:
        """What this process scores of a batch."""
        queries = self._processes.share(len(batch.queries))
        anchors = self._anchors(batch)
        own_anchors = anchors[self._processes.share(len(anchors))]
        own_queries, grades = batch.queries[queries], batch.grades[queries]
        log = batch.log[self._processes.share(len(batch.log))]
        rank = len(own_queries) / max(1, len(batch.queries))
        if self._config.rank.loss == "pairwise" and self._processes.count > 1:
            rank = triples(grades) / max(1, triples(batch.grades))
        return _Part(
            queries=own_queries,
            first=queries.start,
            grades=grades.to(self._device),
            log=log,
            anchors=own_anchors,
            rank=rank,
            taught=(len(own_queries) + len(log) + len(own_anchors))
            / (len(batch.queries) + len(batch.log) + len(anchors)),
        )

    def _rank_loss(self, scores: Tensor, part: _Part) -> Tensor:
        rank = self._config.rank
        if rank.loss == "infonce":
            return _weighed(part.rank, info_nce, scores, part.grades, rank.temperature, part.first)
        return _weighed(part.rank, pairwise_logistic, scores, part.grades, rank.temperature)

    def _batch_documents(self, batch: Batch, project: _Projection) -> list[tuple[Tensor, Tensor]]:
        """The batch's documents in every size, as floats and as they are stored."""
        total = len(batch.documents)
        mine = project(self._documents[batch.documents[self._processes.share(total)]])
        stored = [self._stored(d, size) for size, d in zip(self.plan.sizes, mine, strict=True)]
        coded = [code for d, code in zip(mine, stored, strict=True) if code is not d]
        tables = self._processes.whole([*mine, *coded], total)
        plain, rest = tables[: len(mine)], iter(tables[len(mine) :])
        return [
            (table, table if code is d else next(rest))
            for table, d, code in zip(plain, mine, stored, strict=True)
        ]

    def codec(self, size: int) -> str | None:
        """What vectors of a size are stored by; the full size that only teaches stays as it is."""
        return self._config.codec if size in (self._config.dims or ()) else None

    def _stored(self, documents: Tensor, size: int) -> Tensor:
        codec = self._codecs.get(size)
        return documents if codec is None else straight_through(documents, codec)

    def _teacher(self, batch: Batch, part: _Part) -> Tensor | None:
        """Cosines of what is taught and the batch's documents, `SAME` where these are to say nothing: of an
        anchor and itself and, where no label is read, of any two that are alike.
        """
        if self._teaching is None:
            return None
        queries, log, documents = self._teaching
        own = documents[batch.documents]
        asked = torch.cat([queries[part.queries], log[part.log], own[part.anchors]])
        if not self._reads_labels():
            # In bf16 near neighbours would count as duplicates.
            with torch.autocast(self._device.type, enabled=False):
                scores = asked @ own.T
            return scores.masked_fill(scores > DUPLICATE, SAME)
        scores = (asked @ own.T).float()
        first = len(asked) - len(part.anchors)
        scores[torch.arange(first, len(asked)), part.anchors] = SAME
        return scores

    def _reads_labels(self) -> bool:
        return self._config.supervised and self._config.rank.weight > 0

    def _anchors(self, batch: Batch) -> Tensor:
        """Places in the batch's documents, from its end, where the random ones are that are taught."""
        total = len(batch.documents)
        taught = self.plan.teacher == "layer" or (self._teaching is not None and not self._reads_labels())
        count = self._config.distillation.anchors if taught else 0
        if len(batch.queries):
            count = min(count, count * MANY // len(self._queries))
        elif not len(batch.log):
            count += self._config.optimiser.batch
        count = min(count, total)
        return torch.arange(total - count, total)

    def _memory_loss(self, batch: Batch, project: _Projection, step: int) -> Tensor:
        memory = self._config.memory
        # Without labels the batch is nothing but anchors.
        anchors = batch.documents[: memory.anchors] if self._config.supervised else batch.documents
        originals = torch.cat([self._pool.queries[batch.queries], self._pool.documents[anchors]])
        mine = self._processes.share(len(originals))
        teacher, rows, places = self.memory.neighbours(originals, step, mine)
        wide = torch.cat([self._queries[batch.queries], self._documents[anchors]])
        small_anchors, small_rows = project(wide[mine]), project(self._documents[rows])
        weight = len(teacher) / len(originals)
        parts = []
        for size, anchor, row in zip(self.plan.sizes, small_anchors, small_rows, strict=True):
            student = (anchor @ self._stored(row, size).T).float().gather(1, places)
            if memory.loss == "listwise":
                parts.append(_weighed(weight, listwise_kl, student, teacher, memory.temperature))
            else:
                parts.append(_weighed(weight, absolute_difference, student, teacher))
        return torch.stack(parts).sum()


@dataclass(frozen=True)
class _Part:
    """The rows of a batch's scores that one process computes; alone, all of them."""

    queries: IntArray
    first: int
    """Which query of the batch the first one is."""
    grades: Tensor
    log: IntArray
    anchors: Tensor
    """Places in the batch's documents."""
    rank: float
    """Share of these queries in the mean that is the rank loss."""
    taught: float
    """Share of these queries and anchors in the mean that is the distillation loss."""


def _weighed(weight: float, loss: Callable[..., Tensor], scores: Tensor, *others: object) -> Tensor:
    """A part of a loss that is a mean over rows; of no rows nothing, though a function of the scores."""
    return weight * loss(scores, *others) if len(scores) else scores.sum()


@dataclass(frozen=True)
class _Projection:
    """Rows -> their unit-length small vectors, one tensor per size of the stage."""

    matrix: Tensor
    sizes: tuple[int, ...]
    mask: Tensor | None

    def __call__(self, rows: Tensor) -> list[Tensor]:
        wide = (rows @ self.matrix).float()
        vectors = [functional.normalize(wide[:, :size]) for size in self.sizes]
        if self.mask is not None:  # zeros in place of what is not kept: the cosine is the same
            vectors[-1] = functional.normalize(wide * self.mask)
        return vectors
