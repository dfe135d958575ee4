"""Runs the stages one after another, saves their state, and folds what they learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.config import TrainConfig
from smec.method.agreement import agreement_axes
from smec.method.learned import (
    Learned,
    check_tensors,
    layer_tensors,
    loop_numbers,
    loop_state,
    loop_tensors,
)
from smec.method.plans import StagePlan
from smec.method.stages import Stage
from smec.training.checkpoint import Checkpoint
from smec.training.execution import ON_CPU, Execution
from smec.training.loop import LoopState, Progress, Unit, optimise
from smec.training.pool import Pool
from smec.training.validation import HeldOut

OnProgress = Callable[[Progress], None]


class Schedule:
    """A training as data: plans, start, checkpoint.

    Parameters
    ----------
    plans : list of StagePlan
    config : TrainConfig
    pool : Pool
    held_out : HeldOut
    basis : Tensor of shape (D, w)
        Takes originals to the coordinates of the first stage.
    start : Tensor of shape (w, columns)
        The first layer before training.
    teacher : Tensor of shape (D, v), optional
        Takes originals to the space that sizes are distilled from (schedule "joint"); the originals by
        default.
    bias : Tensor of shape (w,), optional
        Added to what ``basis`` makes of a unit-length original.
    fold : (int, int)
        Which of how many trainings this is, from 0: for the progress.
    execution : Execution
    """

    def __init__(
        self,
        plans: list[StagePlan],
        config: TrainConfig,
        pool: Pool,
        held_out: HeldOut,
        basis: Tensor,
        start: Tensor,
        teacher: Tensor | None = None,
        bias: Tensor | None = None,
        fold: tuple[int, int] = (0, 1),
        execution: Execution = ON_CPU,
    ) -> None:
        self._execution = execution
        self._processes = execution.processes
        self._pool_on_device = pool.to(execution.device)
        self._fold = fold
        self._plans = plans
        self._config = config
        self._pool = pool
        self._held_out = held_out
        self._basis = basis
        self._teacher = teacher
        self._bias = bias
        self._start = self._processes.of_first(start)

    def run(self, checkpoint: Checkpoint, *, resume: bool, progress: OnProgress | None) -> Learned:
        """Run what is left of the stages; the result is the same however often it was interrupted."""
        learned, state, memory = self._restore(checkpoint) if resume else (Learned(), None, None)
        for plan in self._plans[len(learned.stages) :]:
            self._tell(progress, plan, state, "begins")
            stage = self._stage(plan, learned)
            if memory is not None:
                stage.memory.rows = memory
            state = state or LoopState(stage.parameters())
            self._train(stage, state, learned, checkpoint, progress)
            self._finish(stage, state, learned)
            state = memory = None
            checkpoint.save(
                layer_tensors(learned) | check_tensors(learned), {"stages": learned.stages}, now=True
            )
        return learned

    def folded(self, learned: Learned) -> list[Tensor]:
        """One (w_0, d) matrix per layer, from the originals: ``basis @ layer_1 @ ... @ layer_k``."""
        matrices, product = [], self._basis
        for layer in learned.layers:
            product = product @ layer
            matrices.append(product)
        return matrices

    def folded_checks(self, learned: Learned) -> dict[int, Tensor]:
        """The matrix from the originals, of shape (D, d_1), at each check of the last stage."""
        return {step: self._basis @ layer for step, (layer, _) in learned.checks.items()}

    def folded_queries(self, learned: Learned) -> dict[int, Tensor]:
        """The same of queries, where they have their own matrix; else none."""
        return {step: self._basis @ layer for step, layer in learned.queries.items()}

    def _stage(self, plan: StagePlan, learned: Learned) -> Stage:
        before = self._before(learned)
        layer = self._start
        if learned.layers:
            layer = learned.layers[0] if self._config.layers == "nested" else torch.eye(plan.columns)
        if plan.turned:
            layer = self._turned(layer, plan.turned)
        pool, device = self._pool_on_device, self._execution.device
        before, layer = before.to(device), layer.to(device)
        bias = 0.0 if self._bias is None else self._bias.to(device)
        queries, log, documents = (rows @ before + bias for rows in _rows(pool))
        teacher = None
        if plan.teacher == "layer":
            teacher = _normalised([rows @ layer for rows in (queries, log, documents)])
        elif plan.teacher == "originals":
            teacher = self._originals(pool)
        pairs = pool.pairs.reshape(-1, len(before)) @ before + bias
        return Stage(
            plan, self._config, pool, documents, queries, log, pairs, layer, teacher, self._execution
        )

    def _originals(self, pool: Pool) -> tuple[Tensor, Tensor, Tensor]:
        matrix = None if self._teacher is None else self._teacher.to(self._execution.device)
        return teacher_rows(pool, matrix)

    def _turned(self, layer: Tensor, columns: int) -> Tensor:
        """The layer with its leading columns along the axes of agreement: their cosines stay as they are."""
        axes = agreement_axes(self._pool, (self._basis @ layer[:, :columns]).numpy())
        axes = self._processes.of_first(axes)
        turned = layer[:, :columns] @ torch.from_numpy(axes.astype(np.float32))
        return torch.cat([turned, layer[:, columns:]], dim=1)

    def _before(self, learned: Learned) -> Tensor:
        matrices = self.folded(learned) if self._config.layers == "fresh" else []
        return matrices[-1] if matrices else self._basis

    def _train(
        self,
        stage: Stage,
        state: LoopState,
        learned: Learned,
        checkpoint: Checkpoint,
        progress: OnProgress | None,
    ) -> None:
        before = self._before(learned)
        checked = self._config.layers == "nested" and stage.plan is self._plans[-1]
        checked = checked and stage.plan.served == self._config.dims

        def score(parameters: Any) -> float:
            if not state.history:  # now, as the optimiser is loaded and ready
                self._tell(progress, stage.plan, state, "starts")
            layer = stage.matrix(parameters).cpu()
            matrix = (before @ layer).numpy()
            bias = None if self._bias is None else (self._bias @ layer).numpy()
            own = stage.query_matrix(parameters)
            asking = None if own is None else (before @ own.cpu()).numpy()
            sizes = {size: stage.codec(size) for size in stage.plan.served}
            scores = self._held_out.scores_at(matrix, sizes, bias, asking)
            if checked:
                learned.checks[state.step] = layer, scores
                if own is not None:
                    learned.queries[state.step] = own.cpu()
            return self._held_out.mean(scores)

        def on_check() -> None:
            tensors = layer_tensors(learned) | check_tensors(learned) | loop_tensors(state)
            tensors |= {"memory": stage.memory.rows}
            checkpoint.save(tensors, {"stages": learned.stages, "loop": loop_numbers(state)})
            self._tell(progress, stage.plan, state, "checks")

        def loss_at(parameters: Mapping[str, Tensor], step: int) -> Tensor:
            with self._execution.autocast():
                return stage.loss(parameters, step)

        def on_step(state: LoopState) -> None:
            self._tell(progress, stage.plan, state, "steps")

        optimise(
            state,
            loss_at,
            score,
            self._config.optimiser.model_copy(update={"learning_rate": stage.plan.learning_rate}),
            self._config.validation,
            steps=stage.plan.steps,
            on_check=on_check,
            on_step=on_step,
            processes=self._processes,
        )

    def _tell(
        self, progress: OnProgress | None, plan: StagePlan, state: LoopState | None, unit: Unit
    ) -> None:
        if progress is None:
            return
        progress(
            Progress(
                stage=self._fold[0] * len(self._plans) + plan.number + 1,
                stages=self._fold[1] * len(self._plans),
                sizes=plan.sizes,
                step=state.step if state else 0,
                steps=plan.steps,
                loss=state.loss if state else math.nan,
                score=state.history[-1][1] if state and state.history else None,
                metric=self._held_out.metric,
                unit=unit,
            )
        )

    def _finish(self, stage: Stage, state: LoopState, learned: Learned) -> None:
        matrix = stage.matrix(state.best).cpu()
        if self._config.layers == "nested":
            learned.layers = [matrix]
        else:
            learned.layers.append(matrix[:, : stage.plan.sizes[-1]])
        learned.stages.append(
            {
                "sizes": list(stage.plan.sizes),
                "steps": state.step,
                "best_step": state.best_step,
                "kept": stage.kept(state.best),
                "metric": self._held_out.metric,
                "validation": [[step, round(score, 6)] for step, score in state.history],
            }
        )

    def _restore(self, checkpoint: Checkpoint) -> tuple[Learned, LoopState | None, Tensor | None]:
        loaded = self._processes.of_first(checkpoint.load())
        if loaded is None:
            return Learned(), None, None
        tensors, saved = loaded
        count = sum(name.startswith("layer.") for name in tensors)
        learned = Learned([tensors[f"layer.{n}"] for n in range(count)], saved["stages"])
        # By step: the first check is the start, and the last one ends the training.
        for step in sorted(int(name.removeprefix("check.")) for name in tensors if name.startswith("check.")):
            learned.checks[step] = tensors[f"check.{step}"], tensors[f"scores.{step}"].numpy()
            if f"query.{step}" in tensors:
                learned.queries[step] = tensors[f"query.{step}"]
        if "loop" not in saved:
            return learned, None, None
        return learned, loop_state(tensors, saved["loop"], self._execution.device), tensors["memory"]


def teacher_rows(pool: Pool, matrix: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, log and documents as the teacher has them: the originals, or what a matrix makes of them."""
    return _rows(pool) if matrix is None else _normalised([rows @ matrix for rows in _rows(pool)])


def _rows(pool: Pool) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, log and documents of a pool, a tensor of width D each."""
    return pool.queries, pool.log.reshape(-1, pool.documents.shape[1]), pool.documents


def _normalised(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    queries, log, documents = (functional.normalize(rows) for rows in tensors)
    return queries, log, documents
