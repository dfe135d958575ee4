"""Parts that the learned rivals share with smec's training: folds by document, batches, loop, early stopping.

Where fewer than 500 train queries are judged, a rival trains once per fold, as smec does, and serves the mean
of what its trainings compute.
"""

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
from smec.training.held_out import FEW, training_folds
from smec.training.loop import LoopState, optimise
from smec.training.pool import Pool, document_pool, fold_pools, judged_train_queries
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
    negatives: int = OptimiserConfig().negatives
    """Random corpus documents per step, as many as smec's."""
    hard_negatives: int = 0
    """Nearest documents of each query of a step, added to the random ones."""
    patience: int = 125
    """Steps without a gain on the held-out queries that end a training."""

    def optimiser(self) -> OptimiserConfig:
        """As the loop takes it: AdamW without decay is Adam, which is what the papers use."""
        return OptimiserConfig(
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            averaging=0.0,
            batch=self.batch,
            negatives=self.negatives,
            hard_negatives=self.hard_negatives,
        )

    def validation(self) -> ValidationConfig:
        """As the loop takes it: checks as often as smec's, with a patience of their own."""
        every = ValidationConfig().every
        return ValidationConfig(patience=max(1, self.patience // every))


def lessons(
    dataset: Dataset,
    dims: tuple[int, ...],
    settings: LearningSettings,
    *,
    supervised: bool,
    seed: int,
) -> list[Lesson]:
    """Make a dataset ready for a rival: one `Lesson` per fold, with what smec fits and holds out.

    Parameters
    ----------
    dataset : Dataset
    dims : tuple of int
        Sizes, descending.
    settings : LearningSettings
    supervised : bool
        Learn from the train qrels; otherwise from the corpus alone, in one fold.
    seed : int

    Raises
    ------
    DataError
        No judged train queries, or too few.
    """
    pools = _supervised_pools(dataset, seed) if supervised else [_unsupervised_pool(dataset, seed)]
    basis = torch.eye(dataset.dim)
    if settings.start == "pca":
        basis = torch.from_numpy(principal_axes(dataset.moments.second).astype(np.float32))
    return [Lesson(dataset, pool, basis, dims, settings, seed) for pool in pools]


def _supervised_pools(dataset: Dataset, seed: int) -> list[Pool]:
    folds = training_folds(judged_train_queries(dataset), ValidationConfig(few=FEW), seed=seed)
    return fold_pools(dataset, folds, seed=seed, limit=POOL)


def _unsupervised_pool(dataset: Dataset, seed: int) -> Pool:
    return document_pool(dataset, seed=seed, limit=POOL, validation=ValidationConfig())


class Lesson:
    """One fold, ready to be learned.

    Parameters
    ----------
    dataset : Dataset
    pool : Pool
        Queries to fit, queries held out, and documents.
    basis : Tensor of shape (D, D)
        Orthonormal: ``x @ basis`` are the coordinates that the rival adapts.
    dims : tuple of int
        Sizes, descending.
    settings : LearningSettings
    seed : int
    """

    def __init__(
        self,
        dataset: Dataset,
        pool: Pool,
        basis: Tensor,
        dims: tuple[int, ...],
        settings: LearningSettings,
        seed: int,
    ) -> None:
        self.dims = dims
        self.settings = settings
        self.seed = seed
        self.dim = dataset.dim
        self.pool = pool
        self.basis = basis
        self._held_out = HeldOut(dataset, pool)

    def learn(
        self,
        parameters: dict[str, Tensor],
        forward: Forward,
        loss: Callable[[Parameters, Batch, int], Tensor],
        *,
        dims: tuple[int, ...] | None = None,
        stage: int = 0,
        forward_queries: Forward | None = None,
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
        forward_queries : Forward, optional
            That of queries, where they differ from documents.
        """
        optimiser = self.settings.optimiser()
        batches = Batches(self.pool, optimiser, self.seed, stage)
        state = LoopState(parameters)

        def score(candidate: Parameters) -> float:
            held_out = self._held_out
            asking = forward_queries or forward
            documents, queries = (
                of(candidate, torch.from_numpy(rows)).numpy()
                for of, rows in ((forward, held_out.documents), (asking, held_out.queries))
            )
            of_size = [
                held_out.mean(held_out.scores_of(normalise(documents[:, :dim]), normalise(queries[:, :dim])))
                for dim in dims or self.dims
            ]
            return float(np.mean(of_size))

        optimise(
            state,
            lambda leaves, step: loss(leaves, batches.draw(step), step),
            score,
            optimiser,
            self.settings.validation(),
            steps=optimiser.steps,
            on_check=lambda: None,
            on_step=lambda _: None,
        )
        return state.best


def prefixes(vectors: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """Unit-length prefixes of ``vectors`` (n, w), one per size."""
    return [functional.normalize(vectors[:, :dim]) for dim in dims]
