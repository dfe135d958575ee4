"""Trainings that are compared on held-out queries: which settings, and after how many steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smec.config import TrainConfig, candidate_config
from smec.method.folds import Check, Fold, FoldResult, Start, train_fold
from smec.method.schedule import OnProgress
from smec.training.checkpoint import Checkpoint

States = Callable[[int, int], Checkpoint]
"""(number of the candidate, number of the fold) -> where the state of its training is kept."""


@dataclass(frozen=True)
class Trained:
    """One candidate, trained on every fold.

    Attributes
    ----------
    name : str or None
        None: the configuration itself, without any to compare it with.
    config : TrainConfig
    step : int or None
        The check that scores best over all folds; None where each fold has one alone.
    score : float
        Mean over sizes and the held-out queries that decide.
    checks : list of Check
        What every fold had made at that step.
    results : list of FoldResult
        Without checks, which take much memory.
    """

    name: str | None
    config: TrainConfig
    step: int | None
    score: float
    checks: list[Check]
    results: list[FoldResult]


def candidate_configs(config: TrainConfig, folds: int) -> dict[str | None, TrainConfig]:
    """What is trained: the candidates, or the configuration itself where it names none.

    Candidate "trained" is for many labels, which need no folds, or for a corpus that is fixed.
    """
    names = [
        name for name in config.candidates if name != "trained" or folds == 1 or config.corpus == "fixed"
    ]
    if not names:
        return {None: config.model_copy(update={"candidates": ()})}
    return {name: candidate_config(config, name) for name in names}


def train_candidates(
    start: Start,
    config: TrainConfig,
    folds: Sequence[Fold],
    states: States,
    resume: bool,
    progress: OnProgress | None,
) -> Trained:
    """Train every candidate on every fold; return the one that scores best on what was held out."""
    configs = candidate_configs(config, len(folds))
    best: Trained | None = None
    for number, (name, settings) in enumerate(configs.items()):
        # Each training would rotate its columns otherwise, and their mean would mean nothing.
        alike = settings if len(folds) == 1 else settings.model_copy(update={"turned": False})
        results = []
        for fold in folds:
            place = number * len(folds) + fold.number, len(configs) * len(folds)
            state = states(number, fold.number)
            results.append(train_fold(start, alike, fold, state, place, resume, progress))
        trained = _best_step(name, settings, folds, results)
        if best is None or trained.score > best.score:
            best = trained
    assert best is not None
    return best


def _best_step(
    name: str | None, config: TrainConfig, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> Trained:
    """Choose the check: one for all folds, as each fold's own best would partly be luck."""
    steps = [step for step in results[0].checks if all(step in result.checks for result in results)]
    scores = {step: _score(folds, [result.checks[step] for result in results]) for step in steps}
    step = max(scores, key=lambda one: scores[one])
    checks = [result.checks[step] for result in results]
    stages = [FoldResult({}, result.heads, result.stages) for result in results]
    return Trained(name, config, step, scores[step], checks, stages)


def _score(folds: Sequence[Fold], checks: Sequence[Check]) -> float:
    """Mean over the queries of all folds that decide."""
    pairs = list(zip(folds, checks, strict=True))
    weights = [fold.held_out.deciding for fold, _ in pairs]
    return float(np.average([fold.held_out.mean(check.scores) for fold, check in pairs], weights=weights))
