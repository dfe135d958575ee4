"""Trainings that are compared on held-out queries: which settings, and after how many steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from smec.config import CorpusKind, TrainConfig, candidate_config
from smec.method.folds import Check, Fold, FoldResult, Start, train_fold
from smec.method.gate import LEVEL, significant
from smec.method.schedule import OnProgress
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint

TOLERANCE = 0.003
"""Scores on new documents that differ by less are taken as equal; seen documents then decide."""

States = Callable[[int, int], Checkpoint]
"""(number of the candidate, number of the fold) -> where the state of its training is kept."""


Key = TypeVar("Key")


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
    mixture : float
        Share of what was learned until that step; below 1 the map lies between the start and that check's.
    score, seen : float
        Means over sizes and held-out queries: those that decide, and those that ask for seen documents.
    checks : list of Check
        What every fold had made at that step.
    results : list of FoldResult
        Without checks, which take much memory.
    """

    name: str | None
    config: TrainConfig
    step: int | None
    mixture: float
    score: float
    seen: float
    checks: list[Check]
    results: list[FoldResult]


def candidate_configs(config: TrainConfig, folds: int) -> dict[str | None, TrainConfig]:
    """Return the candidates to train, or the configuration itself where it names none.

    Candidate "trained" is for many labels, which need no folds, or for a fixed corpus; elsewhere it is left
    out, unless it is the only one that is named.
    """
    if not config.candidates:
        return {None: config}
    several = [name for name in config.candidates if name != "trained"]
    names = config.candidates if folds == 1 or config.corpus == "fixed" or not several else several
    return {name: candidate_config(config, name) for name in names}


def train_candidates(
    start: Start,
    config: TrainConfig,
    folds: Sequence[Fold],
    states: States,
    resume: bool,
    progress: OnProgress | None,
) -> Trained:
    """Train every candidate on every fold; return the one that scores best on what was held out.

    One that learns from labels has to be significantly better than "unlabelled".
    """
    configs = candidate_configs(config, len(folds))
    best: Trained | None = None
    unlabelled: Trained | None = None
    for number, (name, settings) in enumerate(configs.items()):

        def state_of(fold: int, number: int = number) -> Checkpoint:
            return states(number, fold)

        place = number, len(configs)
        trained = train_folds(start, name, settings, folds, state_of, place, resume, progress)
        if name == UNLABELLED:
            unlabelled = trained
        else:
            best = trained if best is None else _better(best, trained, config.corpus)
    if unlabelled is not None and (best is None or not _labels_help(best, unlabelled, folds, config.corpus)):
        return unlabelled
    assert best is not None
    return best


def train_folds(
    start: Start,
    name: str | None,
    settings: TrainConfig,
    folds: Sequence[Fold],
    state_of: Callable[[int], Checkpoint],
    place: tuple[int, int],
    resume: bool,
    progress: OnProgress | None,
) -> Trained:
    """Train one configuration on every fold, the first of ``place`` of so many for the progress."""
    # Each training would rotate its columns otherwise, and their mean would mean nothing.
    alike = settings if len(folds) == 1 else settings.model_copy(update={"turned": False})
    results = []
    for fold in folds:
        tick = place[0] * len(folds) + fold.number, place[1] * len(folds)
        results.append(train_fold(start, alike, fold, state_of(fold.number), tick, resume, progress))
    return _best_check(name, settings, folds, results)


def _labels_help(labelled: Trained, unlabelled: Trained, folds: Sequence[Fold], corpus: CorpusKind) -> bool:
    """Whether what learned from labels is better on new documents, or as good there and better on seen ones.

    With a fixed corpus, whether it is better on all held-out queries.
    """
    gains = [
        (one.scores - other.scores).mean(axis=0)
        for one, other in zip(labelled.checks, unlabelled.checks, strict=True)
    ]
    if corpus == "fixed":
        return significant(np.concatenate(gains), LEVEL)
    pairs = list(zip(folds, gains, strict=True))
    new = np.concatenate([gain[: fold.held_out.new] for fold, gain in pairs])
    seen = np.concatenate([gain[fold.held_out.new :] for fold, gain in pairs])
    if significant(new, LEVEL):
        return True
    return bool(new.size and new.mean() >= -TOLERANCE and significant(seen, LEVEL))


def _better(one: Trained, other: Trained, corpus: CorpusKind) -> Trained:
    chosen = _first({0: (one.score, one.seen), 1: (other.score, other.seen)}, corpus)
    return (one, other)[chosen]


def _best_check(
    name: str | None, config: TrainConfig, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> Trained:
    """Choose the check: one for all folds, as each fold's own best would partly be luck."""
    steps = [step for step in results[0].checks if all(step in result.checks for result in results)]
    checks = {(step, 1.0): [result.checks[step] for result in results] for step in steps}
    if len(steps) > 1:
        for share in config.validation.mixtures:
            pairs = zip(folds, results, strict=True)
            between = [mixed(fold, result, steps[-1], share, config.codec) for fold, result in pairs]
            checks[steps[-1], share] = between
    scores = {key: _scores(folds, of) for key, of in checks.items()}
    # Without labels the last step: agreement with the originals does not tell which one retrieves best.
    key = _first(scores, config.corpus) if config.supervised and name != UNLABELLED else (steps[-1], 1.0)
    stages = [FoldResult({}, result.heads, result.stages) for result in results]
    return Trained(name, config, *key, *scores[key], checks[key], stages)


def mixed(fold: Fold, result: FoldResult, step: int | None, share: float, codec: str | None) -> Check:
    """Mix the map of a check with that of the start, and score it."""
    (start, *_), last = result.checks.values(), result.checks[step]
    matrices = {
        dim: (1 - share) * start.matrices[dim] + share * matrix for dim, matrix in last.matrices.items()
    }
    scores = np.stack([fold.held_out.scores(matrix, codec) for matrix in matrices.values()])
    return Check(matrices, scores)


def _first(scores: Mapping[Key, tuple[float, float]], corpus: CorpusKind) -> Key:
    """Key of the best pair of scores, on queries that decide and on seen documents."""
    best = max(score for score, _ in scores.values())
    if corpus == "fixed":  # seen documents are in the first score already
        return max(scores, key=lambda key: scores[key][0])
    near = {key: seen for key, (score, seen) in scores.items() if score >= best - TOLERANCE}
    return max(near, key=lambda key: (near[key], scores[key][0]))


def _scores(folds: Sequence[Fold], checks: Sequence[Check]) -> tuple[float, float]:
    """Means over the queries of all folds that decide, and over those that ask for seen documents."""
    pairs = list(zip(folds, checks, strict=True))
    weights = [fold.held_out.deciding for fold, _ in pairs]
    score = np.average([fold.held_out.mean(check.scores) for fold, check in pairs], weights=weights)
    seen = np.concatenate([check.scores[:, fold.held_out.new :] for fold, check in pairs], axis=1)
    return float(score), float(seen.mean()) if seen.size else 0.0
