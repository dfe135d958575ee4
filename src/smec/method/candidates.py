"""Trainings that are compared on held-out queries: which settings, and after how many steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from smec.config import CorpusKind, TrainConfig, candidate_config
from smec.method.folds import Check, Fold, FoldResult, Start, train_fold
from smec.method.gate import LEVEL_BEST, Linear, Scores, significant
from smec.method.schedule import OnProgress
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint
from smec.vectors import Float32Array

TOLERANCE = 0.003
"""Scores on new documents that differ by less are taken as equal; seen documents then decide."""

States = Callable[[int, int], Checkpoint]
"""(number of the candidate, number of the fold) -> where the state of its training is kept."""

Score = Callable[[Fold, Mapping[int, Linear]], Scores]
"""(fold, map of each size) -> scores on what the fold holds out, of shape (sizes, held-out queries)."""

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
    begun : sequence of ndarray of shape (D, d_1), optional
        What start "unlabelled" began with, for each fold.
    """

    name: str | None
    config: TrainConfig
    step: int | None
    mixture: float
    score: float
    seen: float
    checks: list[Check]
    results: list[FoldResult]
    begun: Sequence[Float32Array] | None = None


def candidate_configs(config: TrainConfig, folds: int) -> dict[str | None, TrainConfig]:
    """Return the candidates to train, or the configuration itself where it names none.

    "unlabelled" comes first where another one starts from it. Candidate "trained" is for many labels, which
    need no folds, or for a fixed corpus; elsewhere it is left out, unless it is the only one that is named.
    Own queries leave it out too: its teacher has one matrix.
    """
    several = [name for name in config.candidates if name not in (UNLABELLED, "trained")]
    fits = config.queries == "shared" and (folds == 1 or config.corpus == "fixed")
    names = [name for name in config.candidates if fits or not several or name != "trained"]
    configs: dict[str | None, TrainConfig] = {name: candidate_config(config, name) for name in names}
    configs = configs or {None: config}
    if UNLABELLED in configs or any(of.start == "unlabelled" for of in configs.values()):
        others = {name: of for name, of in configs.items() if name != UNLABELLED}
        first = candidate_config(config, UNLABELLED)
        if others:  # what goes on from it begins with one matrix for both
            first = first.model_copy(update={"queries": "shared"})
        return {UNLABELLED: first, **others}
    return configs


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
        begun = None
        if settings.start == "unlabelled" and unlabelled is not None:
            begun = [check.widest for check in unlabelled.checks]

        def state_of(fold: int, number: int = number) -> Checkpoint:
            return states(number, fold)

        place = number, len(configs)
        trained = train_folds(start, name, settings, folds, state_of, place, resume, progress, begun)
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
    begun: Sequence[Float32Array] | None,
) -> Trained:
    """Train one configuration on every fold, the first of ``place`` of so many for the progress.

    ``begun`` has for each fold what start "unlabelled" begins with.
    """
    # Each training would rotate its columns otherwise, and their mean would mean nothing.
    alike = settings if len(folds) == 1 else settings.model_copy(update={"turned": False})
    results = []
    for number, fold in enumerate(folds):
        tick = place[0] * len(folds) + number, place[1] * len(folds)
        first = None if begun is None else begun[number]
        results.append(train_fold(start, alike, fold, state_of(fold.number), tick, resume, progress, first))
    trained = best_check(name, settings, folds, results, scored_as(settings.codec))
    return replace(trained, begun=begun)


def _labels_help(labelled: Trained, unlabelled: Trained, folds: Sequence[Fold], corpus: CorpusKind) -> bool:
    """Whether what learned from labels is better on new documents, or as good there and better on seen ones.

    With a fixed corpus, whether it is better on all held-out queries.
    """
    gains = [
        (one.scores - other.scores).mean(axis=0)
        for one, other in zip(labelled.checks, unlabelled.checks, strict=True)
    ]
    if corpus == "fixed":
        return significant(np.concatenate(gains), LEVEL_BEST)
    pairs = list(zip(folds, gains, strict=True))
    new = np.concatenate([gain[: fold.held_out.new] for fold, gain in pairs])
    seen = np.concatenate([gain[fold.held_out.new :] for fold, gain in pairs])
    if significant(new, LEVEL_BEST):
        return True
    return bool(new.size and new.mean() >= -TOLERANCE and significant(seen, LEVEL_BEST))


def _better(one: Trained, other: Trained, corpus: CorpusKind) -> Trained:
    chosen = _first({0: (one.score, one.seen), 1: (other.score, other.seen)}, corpus)
    return (one, other)[chosen]


def best_check(
    name: str | None,
    config: TrainConfig,
    folds: Sequence[Fold],
    results: Sequence[FoldResult],
    score: Score,
) -> Trained:
    """Choose the check: one for all folds, as each fold's own best would partly be luck."""
    steps = [step for step in results[0].checks if all(step in result.checks for result in results)]
    checks = {(step, 1.0): [result.checks[step] for result in results] for step in steps}
    if len(steps) > 1:
        for share in config.validation.mixtures:
            pairs = zip(folds, results, strict=True)
            checks[steps[-1], share] = [
                mixed(fold, result, steps[-1], share, score) for fold, result in pairs
            ]
    scores = {key: _scores(folds, of) for key, of in checks.items()}
    # Without labels the last step: agreement with the originals does not tell which one retrieves best.
    key = _first(scores, config.corpus) if config.supervised and name != UNLABELLED else (steps[-1], 1.0)
    stages = [FoldResult({}, result.heads, result.stages) for result in results]
    return Trained(name, config, *key, *scores[key], checks[key], stages)


def scored_as(codec: str | None) -> Score:
    """Score of maps on what a fold holds out, documents stored by a codec."""

    def score(fold: Fold, maps: Mapping[int, Linear]) -> Scores:
        widest = maps[max(maps)]  # the others are its leading columns
        return fold.held_out.scores_at(widest.matrix, dict.fromkeys(maps, codec), widest.bias, widest.query)

    return score


def mixed(fold: Fold, result: FoldResult, step: int | None, share: float, score: Score) -> Check:
    """Mix the map of a check with that of the start, and score it."""
    (start, *_), last = result.checks.values(), result.checks[step]
    maps = {dim: between(start.maps[dim], of, share) for dim, of in last.maps.items()}
    return Check(maps, score(fold, maps))


def between(start: Linear, end: Linear, share: float) -> Linear:
    """The map that lies this share of the way from one to another of the same bias."""
    query = None
    if start.query is not None and end.query is not None:
        query = (1 - share) * start.query + share * end.query
    return Linear((1 - share) * start.matrix + share * end.matrix, end.bias, query)


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
