"""What the learned rivals share with smec's own training: split, batches, loop, early stopping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.baselines.pca import principal_axes
from smec.config import OptimiserConfig, ValidationConfig
from smec.data import Dataset
from smec.training.batches import Batch, Batches
from smec.training.loop import LoopState, optimise
from smec.training.pool import Pool, build_pool
from smec.training.validation import HeldOut
from smec.vectors import normalise

POOL = 100_000
"""Most corpus rows held in memory, as for smec."""

Parameters = Mapping[str, Tensor]
Forward = Callable[[Parameters, Tensor], Tensor]
"""(parameters, originals (n, D)) -> adapted vectors (n, w), of any length; prefixes are the sizes."""


@dataclass(frozen=True)
class LearningSettings:
    """What a rival is tuned over; each module says which of these its paper gives."""

    learning_rate: float = 1e-3
    temperature: float = 1.0
    """Divides cosines in its ranking or contrastive loss."""
    start: Literal["identity", "pca"] = "identity"
    """Coordinates that it adapts: the given ones, or the principal axes of the corpus."""
    steps: int = 2000
    batch: int = 128
    """Queries per step; without labels, documents."""
    negatives: int = 512
    """Random corpus documents per step."""

    def optimiser(self) -> OptimiserConfig:
        """As the loop takes it: AdamW without decay is Adam, which is what the papers use."""
        return OptimiserConfig(
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            averaging=0.0,
            batch=self.batch,
            negatives=self.negatives,
        )


class Lesson:
    """A dataset made ready for a rival: the same pool and the same held-out train queries as smec's.

    Parameters
    ----------
    dataset : Dataset
    dims : tuple of int
        Sizes, descending.
    settings : LearningSettings
    supervised : bool
        Learn from the train qrels; otherwise from the corpus alone.
    seed : int

    Raises
    ------
    DataError
        No judged train queries, or too few (see `smec.training.pool.build_pool`).
    """

    def __init__(
        self,
        dataset: Dataset,
        dims: tuple[int, ...],
        settings: LearningSettings,
        *,
        supervised: bool,
        seed: int,
    ) -> None:
        self.dims = dims
        self.settings = settings
        self.seed = seed
        self.dim = dataset.dim
        self.pool: Pool = build_pool(
            dataset, supervised=supervised, seed=seed, limit=POOL, validation=ValidationConfig()
        )
        self._held_out = HeldOut(dataset, self.pool)
        axes = principal_axes(dataset.moments.second) if settings.start == "pca" else None
        self.basis: Tensor = (
            torch.eye(self.dim) if axes is None else torch.from_numpy(axes.astype(np.float32))
        )
        """(D, D), orthonormal: ``x @ basis`` are the coordinates that the rival adapts."""

    def learn(
        self,
        parameters: dict[str, Tensor],
        forward: Forward,
        loss: Callable[[Parameters, Batch, int], Tensor],
        *,
        dims: tuple[int, ...] | None = None,
        stage: int = 0,
    ) -> dict[str, Tensor]:
        """Minimise ``loss``; return the parameters of the best check on the held-out queries.

        Parameters
        ----------
        parameters : dict of Tensor
            Where it starts; step 0 is a candidate too.
        forward : Forward
            From originals, basis included.
        loss : callable
            (parameters, batch, step) -> scalar.
        dims : tuple of int, optional
            Sizes that the checks score, all by default; their mean counts.
        stage : int
            Seeds the batches.
        """
        optimiser = self.settings.optimiser()
        batches = Batches(self.pool, optimiser, self.seed, stage)
        state = LoopState(parameters)

        def score(candidate: Parameters) -> float:
            held_out = self._held_out
            documents, queries = (
                forward(candidate, torch.from_numpy(rows)).numpy()
                for rows in (held_out.documents, held_out.queries)
            )
            of_size = [
                held_out.scores_of(normalise(documents[:, :dim]), normalise(queries[:, :dim])).mean()
                for dim in dims or self.dims
            ]
            return float(np.mean(of_size))

        optimise(
            state,
            lambda leaves, step: loss(leaves, batches.draw(step), step),
            score,
            optimiser,
            ValidationConfig(),
            steps=optimiser.steps,
            on_check=lambda: None,
            on_step=lambda _: None,
        )
        return state.best


def prefixes(vectors: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """Unit-length prefixes of ``vectors`` (n, w), one per size."""
    return [functional.normalize(vectors[:, :dim]) for dim in dims]
