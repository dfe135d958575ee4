"""Which size and codec to store: a search over both on held-out queries, for a budget or a target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from smec.artefact import Choice, CodedScore, Validation
from smec.codecs import EVERY_TIME, FREE, code_bytes, packs
from smec.config import TrainConfig
from smec.errors import ConfigError
from smec.method.candidates import Trained
from smec.method.folds import Fold, Start

CODEBOOKS = (8, 16, 32, 64, 128)
"""Bytes of the product codes that are tried, where they are fewer than int4's."""

Coded = tuple[int, str]
"""A size and the codec that stores it."""


def combinations(config: TrainConfig, sizes: Sequence[int], documents: int) -> list[Coded]:
    """Sizes and codecs that the budget allows; only the codec that a training looks through, if it does.

    Raises
    ------
    ConfigError
        The budget allows none: says the smallest.
    """
    found = [(dim, name) for dim in sizes for name in _names(config, dim, documents)]
    within = [coded for coded in found if config.budget is None or _bytes(coded) <= config.budget]
    if not within:
        dim, name = min(found, key=_bytes)
        raise ConfigError(
            f"budget: nothing fits into {config.budget} bytes; the smallest is {dim} dims as {name}, "
            f"{code_bytes(name, dim)} bytes"
        )
    return within


def _names(config: TrainConfig, dim: int, documents: int) -> Iterator[str]:
    if config.codec is not None:
        yield config.codec
        return
    yield from FREE
    yield from (name for name in (*EVERY_TIME, "rabitq") if packs(name, dim))
    if documents >= 256:  # a codebook has as many entries
        yield from (f"pq{n}" for n in CODEBOOKS if 2 * n < dim and packs(f"pq{n}", dim))


def _bytes(coded: Coded) -> int:
    return code_bytes(coded[1], coded[0])


def choose(
    start: Start,
    folds: Sequence[Fold],
    trained: Trained,
    validation: Validation,
    candidates: Sequence[Coded],
) -> Choice:
    """Score what the sizes ship under every codec, on the queries that each training held out.

    Parameters
    ----------
    start : Start
    folds : sequence of Fold
    trained : Trained
        What was trained on them.
    validation : Validation
        What every size ships.
    candidates : sequence of (size, codec)
        As `combinations` gives them.
    """
    shipped = {size.dim: size.method for size in validation.sizes}
    scores: dict[Coded, list[np.ndarray]] = {coded: [] for coded in candidates}
    for fold, check in zip(folds, trained.checks, strict=True):
        of_fold = start.candidates(check.maps)
        for dim, name in candidates:
            linear = of_fold[dim].shipped(shipped[dim])
            scores[dim, name].append(fold.held_out.scores(linear.matrix, name, linear.bias, linear.query))
    full = np.concatenate([fold.held_out.full() for fold in folds])
    return _chosen(
        trained.config,
        float(full.mean()),
        {coded: float(np.concatenate(of).mean()) for coded, of in scores.items()},
    )


def _chosen(config: TrainConfig, full: float, means: Mapping[Coded, float]) -> Choice:
    considered = [
        CodedScore(dim=dim, codec=name, bytes=_bytes((dim, name)), score=round(score, 6))
        for (dim, name), score in means.items()
    ]
    considered.sort(key=lambda one: (one.bytes, -one.score))
    # The first of equals has the fewest bytes.
    best = max(considered, key=lambda one: one.score)
    # By the scores themselves, not as they are rounded to be kept.
    least = -math.inf if config.target is None else config.target * full
    reaching = [one for one in considered if means[one.dim, one.codec] >= least]
    return Choice(
        budget=config.budget,
        target=config.target,
        full=round(full, 6),
        chosen=reaching[0] if config.target is not None and reaching else best,
        met=bool(reaching),
        considered=tuple(considered),
    )
