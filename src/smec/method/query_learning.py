"""Learns a matrix for queries of one block, while its documents stay as they are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smec.block import Block
from smec.compressor import Compressor
from smec.config import TrainConfig
from smec.method.folds import Check, Fold, FoldResult
from smec.method.gate import Linear, Scores
from smec.method.plans import StagePlan, plan_stages
from smec.method.projection import StoredDocuments
from smec.method.schedule import OnProgress, teacher_rows
from smec.method.stages import Stage
from smec.training.loop import LoopState, Progress, Unit, optimise
from smec.training.pool import Pool
from smec.vectors import Float32Array, normalise


@dataclass(frozen=True)
class StoredBlock:
    """A block of a compressor, and the documents of a pool as its sizes store them.

    Attributes
    ----------
    block : Block
    documents : dict of int to ndarray of shape (n, size)
        By size, descending.
    """

    block: Block
    documents: dict[int, Float32Array]

    @cached_property
    def start(self) -> Float32Array:
        """The matrix that queries have before, of shape (D, columns)."""
        matrix = self.block.leading(self.block.dims[0], queries=True)[0]
        return np.ascontiguousarray(matrix, dtype=np.float32)

    def maps(self, query: Float32Array) -> dict[int, Linear]:
        """What makes queries at each size, from their matrix of shape (D, columns)."""
        bias = self.block.bias
        return {dim: Linear(query[:, :dim], None if bias is None else bias[:dim]) for dim in self.documents}

    def scores(self, fold: Fold, maps: Mapping[int, Linear]) -> Scores:
        """Scores of `maps` on what a fold holds out, of shape (sizes, held-out queries)."""
        held_out = fold.held_out
        return np.stack(
            [
                held_out.scores_of(self.documents[dim], _asked(held_out.queries, of))
                for dim, of in maps.items()
            ]
        )


def _asked(queries: Float32Array, of: Linear) -> Float32Array:
    return normalise(queries @ of.matrix + (np.float32(0) if of.bias is None else of.bias))


def stored_block(
    compressor: Compressor, block: Block, documents: Float32Array, codec: str | None
) -> StoredBlock:
    """A block with what it makes of a pool's documents, once for all folds.

    Parameters
    ----------
    compressor : Compressor
    block : Block
        One of its own.
    documents : ndarray of shape (n, D)
    codec : str or None
        What stores them, at sizes for which it is calibrated.
    """
    stored = {}
    for dim in block.dims:
        small = compressor.encode(documents, dim)
        if codec is not None and codec in compressor.codecs[dim]:
            coder = compressor.codec(codec, dim)
            small = coder.decode(coder.encode(small))
        stored[dim] = small
    return StoredBlock(block, stored)


def learn_queries(
    stored: StoredBlock,
    config: TrainConfig,
    fold: Fold,
    teacher: Float32Array | None,
    place: tuple[int, int],
    progress: OnProgress | None,
) -> FoldResult:
    """Learn from the queries of one fold; the checks have the matrix of queries at each size.

    Parameters
    ----------
    stored : StoredBlock
    config : TrainConfig
        Schedule "joint".
    fold : Fold
    teacher : ndarray of shape (D, v), optional
        Takes originals to the space whose cosines are distilled; the originals by default.
    place : (int, int)
        Which of how many trainings this is, from 0: for the progress.
    progress : callable, optional
    """
    pool = fold.pool
    plan = query_plan(config, len(stored.start), stored.block.dims, fold)
    _tell(progress, plan, None, place, fold.held_out.metric, "begins")
    stage = _stage(stored, plan, config, pool, None if teacher is None else torch.from_numpy(teacher))
    state = LoopState(stage.parameters())
    checks: dict[int | None, Check] = {}

    def tell(unit: Unit) -> None:
        _tell(progress, plan, state, place, fold.held_out.metric, unit)

    def score(parameters: Mapping[str, Tensor]) -> float:
        if not state.history:
            tell("starts")
        query = stage.query_matrix(parameters)
        assert query is not None
        maps = stored.maps(query.numpy())
        check = Check(maps, stored.scores(fold, maps))
        checks[state.step] = check
        return fold.held_out.mean(check.scores)

    optimise(
        state,
        stage.loss,
        score,
        config.optimiser.model_copy(update={"learning_rate": plan.learning_rate}),
        config.validation,
        steps=plan.steps,
        on_check=lambda: tell("checks"),
        on_step=lambda _: tell("steps"),
    )
    return FoldResult(checks, [], [])


def _stage(
    stored: StoredBlock, plan: StagePlan, config: TrainConfig, pool: Pool, teacher: Tensor | None
) -> Stage:
    bias = stored.block.bias
    return Stage(
        plan,
        config,
        pool,
        pool.documents,
        pool.queries,
        pool.log.reshape(-1, len(stored.start)),
        pool.pairs.reshape(-1, len(stored.start)),
        torch.from_numpy(stored.start.copy()),
        teacher_rows(pool, teacher),
        stored=StoredDocuments(
            [torch.from_numpy(of) for of in stored.documents.values()],
            None if bias is None else torch.from_numpy(bias.copy()),
        ),
    )


def query_plan(config: TrainConfig, width: int, dims: tuple[int, ...], fold: Fold) -> StagePlan:
    """Return the one stage in which queries of ``width`` dims learn on a fold."""
    (plan,) = plan_stages(config, width, dims, len(fold.pool.queries) or len(fold.pool.log))
    return plan


def _tell(
    progress: OnProgress | None,
    plan: StagePlan,
    state: LoopState | None,
    place: tuple[int, int],
    metric: Any,
    unit: Unit,
) -> None:
    if progress is None:
        return
    progress(
        Progress(
            stage=place[0] + 1,
            stages=place[1],
            sizes=plan.sizes,
            step=state.step if state else 0,
            steps=plan.steps,
            loss=state.loss if state else math.nan,
            score=state.history[-1][1] if state and state.history else None,
            metric=metric,
            unit=unit,
        )
    )
