"""What one stage of a training minimises: its losses, as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from smec.config import TrainConfig
from smec.evaluation.neighbours import DUPLICATE
from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic, triples
from smec.losses.similarity import Target, absolute_difference, listwise_kl
from smec.losses.straight_through import straight_through
from smec.method.batch_documents import BatchDocuments, PrefixDocuments, TableDocuments
from smec.method.batch_share import BatchShare, weighed
from smec.method.memory import CrossBatchMemory
from smec.method.plans import StagePlan
from smec.method.projection import SizeProjection, StoredDocuments
from smec.method.selection import column_order, training_mask
from smec.method.stage_codecs import StageCodecs
from smec.training.batches import Batch, Batches
from smec.training.execution import ON_CPU, Execution
from smec.training.pool import Pool

QUERY = "query"
"""Name of the parameter that changes the layer of queries alone."""

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
    documents, queries, log, pairs : Tensor of shape (n, w), (q, w), (u, w) and (s, w)
        The same rows as the stage takes them: in the start's basis (nested), or as the frozen
        stage before left them (fresh).
    layer : Tensor of shape (w, >= columns)
        Where the stage starts; its parameters change the leading columns.
    teacher : tensors of shape (q, v), (u, v) and (n, v), optional
        Unit rows that the sizes are distilled from: queries, log and documents.
    execution : Execution
        On its device are all tensors that are given. With several processes, `loss` is the share of one.
    stored : StoredDocuments, optional
        In place of ``documents``, for one process: the layer and its change are then those of queries alone.
    """

    def __init__(
        self,
        plan: StagePlan,
        config: TrainConfig,
        pool: Pool,
        documents: Tensor,
        queries: Tensor,
        log: Tensor,
        pairs: Tensor,
        layer: Tensor,
        teacher: tuple[Tensor, Tensor, Tensor] | None = None,
        execution: Execution = ON_CPU,
        stored: StoredDocuments | None = None,
    ) -> None:
        self.plan = plan
        self._as_stored = stored
        self._device = layer.device
        self._processes = execution.processes
        self._config = config
        self._pool = pool
        self._documents = documents
        self._queries = queries
        self._log = log
        self._pairs = pairs
        self._layer = layer
        drawn = {"negatives": config.distillation.negatives} if plan.teacher == "layer" else {}
        options = config.optimiser.model_copy(update=drawn)
        labels = config.rank.weight > 0
        self._batches = Batches(
            pool, options, config.seed, plan.number, labels=labels, pairs=bool(config.rank.sentences)
        )
        self.memory = CrossBatchMemory(pool, config.memory, config.seed, plan.number)
        self._codecs = StageCodecs(
            config.codec,
            [size for size in plan.sizes if stored is None and self.codec(size) is not None],
            documents,
            config.seed,
            plan.number,
            config.validation.every,
        )
        self._teaching = teacher

    def parameters(self) -> dict[str, Tensor]:
        """Zero residual, and with ADS zero logits: the stage starts as its start.

        "query" is the change of queries, where they have their own.
        """
        if self._as_stored is not None:
            return {QUERY: self._no_change()}
        parameters = {"residual": self._no_change()}
        if self._config.queries == "own":
            parameters[QUERY] = self._no_change()
        if self.plan.select:
            parameters["logits"] = torch.zeros(self.plan.columns, device=self._device)
        return parameters

    def _no_change(self) -> Tensor:
        return torch.zeros(len(self._layer), self.plan.columns, device=self._device)

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

    def query_matrix(self, parameters: Mapping[str, Tensor]) -> Tensor | None:
        """The layer of queries (w, columns of the layer); None where they share that of documents."""
        if QUERY not in parameters:
            return None
        trained = self._changed(parameters[QUERY]).detach()
        return torch.cat([trained, self._layer[:, self.plan.columns :]], dim=1)

    def _trained(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The trained columns of documents."""
        return self._changed(parameters["residual"])

    def _changed(self, change: Tensor) -> Tensor:
        """The start's columns with a residual."""
        return self._layer[:, : self.plan.columns] + change

    def loss(self, parameters: Mapping[str, Tensor], step: int) -> Tensor:
        """L_rank + weights * (L_distil + L_memory), summed over the sizes; L_memory alone without labels."""
        batch = self._batches.draw(step)
        self.memory.push(batch.documents)
        asking = self._asking(parameters)
        if self._as_stored is not None:
            assert asking is not None
            return self._query_loss(batch, None, asking)
        matrix = self._trained(parameters)
        self._codecs.calibrate(matrix, step)
        project = SizeProjection(matrix, self.plan.sizes, self._mask(parameters, step))
        weight = self._memory_weight()
        total = torch.zeros((), device=self._device)
        if self._config.supervised or self._teaching is not None:
            total = total + self._query_loss(batch, project, asking or project)
        if weight:
            total = total + weight * self._memory_loss(batch, project, step)
        return total

    def _asking(self, parameters: Mapping[str, Tensor]) -> SizeProjection | None:
        """The projection of queries, where they have their own."""
        if QUERY not in parameters:
            return None
        bias = None if self._as_stored is None else self._as_stored.bias
        return SizeProjection(self._changed(parameters[QUERY]), self.plan.sizes, bias=bias)

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

    def _query_loss(self, batch: Batch, project: SizeProjection | None, ask: SizeProjection) -> Tensor:
        """L_rank of the judged queries, and what the teacher says of queries and of random documents."""
        distillation = self._config.distillation
        part = self._part(batch)
        target = self._target(batch, part)
        count = len(part.queries)
        total = torch.zeros((), device=self._device)
        documents = self._batch_documents(batch, project)
        if len(batch.pairs):
            total = total + self._pair_loss(batch, ask, documents)
        asked = torch.cat([self._queries[part.queries], self._log[part.log]])
        for scores in documents.cosines(ask, asked, part.anchors):
            if self._config.rank.weight and len(batch.queries):
                total = total + self._config.rank.weight * self._rank_loss(scores[:count], part)
            if target is not None:
                total = total + distillation.weight * weighed(part.taught, listwise_kl, scores, target)
        return total

    def _part(self, batch: Batch) -> BatchShare:
        """What this process scores of a batch."""
        queries = self._processes.share(len(batch.queries))
        anchors = self._anchors(batch)
        own_anchors = anchors[self._processes.share(len(anchors))]
        own_queries, grades = batch.queries[queries], batch.grades[queries]
        log = batch.log[self._processes.share(len(batch.log))]
        rank = len(own_queries) / max(1, len(batch.queries))
        if self._config.rank.loss == "pairwise" and self._processes.count > 1:
            rank = triples(grades) / max(1, triples(batch.grades))
        return BatchShare(
            queries=own_queries,
            first=queries.start,
            grades=grades.to(self._device),
            log=log,
            anchors=own_anchors,
            rank=rank,
            taught=(len(own_queries) + len(log) + len(own_anchors))
            / (len(batch.queries) + len(batch.log) + len(anchors)),
        )

    def _rank_loss(self, scores: Tensor, part: BatchShare) -> Tensor:
        rank = self._config.rank
        if rank.loss == "infonce":
            return weighed(part.rank, info_nce, scores, part.grades, rank.temperature, part.first)
        return weighed(part.rank, pairwise_logistic, scores, part.grades, rank.temperature)

    def _pair_loss(self, batch: Batch, ask: SizeProjection, documents: BatchDocuments) -> Tensor:
        """InfoNCE of sentences and their documents, summed over the sizes."""
        rank, mine = self._config.rank, self._processes.share(len(batch.pairs))
        grades = batch.pair_grades[mine].to(self._device)
        first = (len(batch.queries) if self._config.rank.weight else 0) + mine.start
        total = torch.zeros((), device=self._device)
        for scores in documents.cosines(ask, self._pairs[batch.pairs[mine]]):
            share = len(scores) / len(batch.pairs)
            total = total + weighed(share, info_nce, scores, grades, rank.temperature, first)
        return (rank.sentences or 0.0) * total

    def _batch_documents(self, batch: Batch, project: SizeProjection | None) -> BatchDocuments:
        """The batch's documents in every size, as floats and as they are stored."""
        if project is None:
            assert self._as_stored is not None
            tables = (table[batch.documents] for table in self._as_stored.vectors)
            return TableDocuments([(found, found) for found in tables])
        total = len(batch.documents)
        rows = self._documents[batch.documents[self._processes.share(total)]]
        if project.mask is None and not self._codecs.any:
            (wide,) = self._processes.whole([project.wide(rows)], total)
            return PrefixDocuments(wide)
        mine = project(rows)
        stored = [self._stored(d, size) for size, d in zip(self.plan.sizes, mine, strict=True)]
        coded = [code for d, code in zip(mine, stored, strict=True) if code is not d]
        found = self._processes.whole([*mine, *coded], total)
        plain, rest = found[: len(mine)], iter(found[len(mine) :])
        return TableDocuments(
            [
                (table, table if code is d else next(rest))
                for table, d, code in zip(plain, mine, stored, strict=True)
            ]
        )

    def codec(self, size: int) -> str | None:
        """What vectors of a size are stored by; the full size that only teaches stays as it is."""
        return self._config.codec if size in (self._config.dims or ()) else None

    def _stored(self, documents: Tensor, size: int) -> Tensor:
        codec = self._codecs.get(size)
        return documents if codec is None else straight_through(documents, codec)

    def _target(self, batch: Batch, part: BatchShare) -> Target | None:
        """Return what the teacher says of what is taught and the batch's documents.

        It says nothing of an anchor and itself, nor of two that are alike where no judgement is read: a query
        that is a document has that document as its answer, and nothing to learn from it.
        """
        if self._teaching is None:
            return None
        temperature = self._config.distillation.temperature
        queries, log, documents = self._teaching
        own = documents[batch.documents]
        asked = torch.cat([queries[part.queries], log[part.log], own[part.anchors]])
        if self._reads_labels() and not len(part.log) and not len(part.anchors):
            return Target.of((asked @ own.T).float(), temperature)
        # In bf16 near neighbours would count as duplicates.
        with torch.autocast(self._device.type, enabled=False):
            scores = asked @ own.T
        left_out = scores > DUPLICATE
        if self._reads_labels():
            first = len(asked) - len(part.anchors)
            left_out[: len(part.queries)] = left_out[first:] = False
            left_out[torch.arange(first, len(asked)), part.anchors] = True
        return Target.of(scores, temperature, left_out)

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

    def _memory_loss(self, batch: Batch, project: SizeProjection, step: int) -> Tensor:
        memory = self._config.memory
        # Without labels the batch is nothing but anchors.
        anchors = batch.documents[: memory.anchors] if self._config.supervised else batch.documents
        originals = torch.cat([self._pool.queries[batch.queries], self._pool.documents[anchors]])
        mine = self._processes.share(len(originals))
        teacher, rows, places = self.memory.neighbours(originals, step, mine)
        wide = torch.cat([self._queries[batch.queries], self._documents[anchors]])
        small_anchors, small_rows = project(wide[mine]), project(self._documents[rows])
        weight = len(teacher) / len(originals)
        target = Target.of(teacher, memory.temperature)
        parts = []
        for size, anchor, row in zip(self.plan.sizes, small_anchors, small_rows, strict=True):
            student = (anchor @ self._stored(row, size).T).float().gather(1, places)
            if memory.loss == "listwise":
                parts.append(weighed(weight, listwise_kl, student, target))
            else:
                parts.append(weighed(weight, absolute_difference, student, teacher))
        return torch.stack(parts).sum()
