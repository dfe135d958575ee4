"""Weight of sentences of documents beside judged queries, chosen on held-out queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smec.artefact import SentencesRecord, WeighedScore
from smec.config import TrainConfig
from smec.data import Dataset
from smec.method.candidates import States, Trained, candidate_configs, train_folds
from smec.method.folds import Fold, Start, teaches_unjudged
from smec.method.gate import LEVEL, LEVEL_BEST, Scores, significant
from smec.method.schedule import OnProgress
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint

WEIGHTS = (0.3, 1.0)
"""Compared with 0."""


def weights(dataset: Dataset, config: TrainConfig) -> tuple[float, ...]:
    """Return the weights above 0 to compare: none where one is set, or there is nothing to weigh."""
    chosen = config.supervised and config.rank.sentences is None and dataset.sentences() is not None
    return WEIGHTS if chosen else ()


def as_log(config: TrainConfig) -> bool:
    """Whether sentences are learned from as queries without judgements, as no label is read."""
    return not config.supervised and teaches_unjudged(config) and config.rank.sentences != 0


def choose_weight(
    start: Start,
    config: TrainConfig,
    trained: Trained,
    folds: Sequence[Fold],
    compared: Sequence[float],
    states: States,
    first: int,
    resume: bool,
    progress: OnProgress | None,
) -> tuple[Trained, tuple[WeighedScore, ...]]:
    """Train once more on every fold with each weight; one that is not significantly better than 0 is left.

    Parameters
    ----------
    start : Start
    config : TrainConfig
        The configuration of the training as a whole.
    trained : Trained
        What was chosen without sentences.
    folds : sequence of Fold
    compared : sequence of float
        Weights above 0.
    states : callable
        As for `smec.method.candidates.train_candidates`.
    first : int
        Number of the first of these trainings there.
    resume, progress
        As for `smec.train`.

    Returns
    -------
    trained : Trained
        Of the best weight, or the given one.
    scores : tuple of WeighedScore
        What was compared, 0 first: mean over sizes and the held-out queries that decide.
    """
    best, scores = trained, [WeighedScore(weight=0.0, score=trained.score)]
    name, settings, begun = trained.name, trained.config, trained.begun
    level = LEVEL
    labelled = {of: one for of, one in candidate_configs(config, len(folds)).items() if of != UNLABELLED}
    if name == UNLABELLED and labelled:  # sentences are labels too, and go on from it as these do
        name, settings = next(iter(labelled.items()))
        begun = [check.widest for check in trained.checks]
        level = LEVEL_BEST  # as for labels alone, whose best check had to be that sure
    for number, weight in enumerate(compared):
        rank = settings.rank.model_copy(update={"sentences": weight})
        weighed = settings.model_copy(update={"rank": rank})
        place = number, len(compared)

        def state_of(fold: int, number: int = number) -> Checkpoint:
            return states(first + number, fold)

        with_pairs = train_folds(start, name, weighed, folds, state_of, place, resume, progress, begun)
        scores.append(WeighedScore(weight=weight, score=with_pairs.score))
        gain = _deciding(folds, with_pairs) - _deciding(folds, trained)
        if significant(gain, level) and with_pairs.score > best.score:
            best = with_pairs
    return best, tuple(scores)


def record(
    dataset: Dataset, config: TrainConfig, compared: Sequence[WeighedScore], folds: Sequence[Fold]
) -> SentencesRecord | None:
    """Say what a training made of the sentences of a dataset; None where there are none.

    Parameters
    ----------
    dataset : Dataset
    config : TrainConfig
        Of the training that was chosen.
    compared : sequence of WeighedScore
        Empty where no weight was chosen.
    folds : sequence of Fold
    """
    sentences = dataset.sentences()
    if sentences is None:
        return None
    return SentencesRecord(
        count=len(sentences),
        weight=None if as_log(config) else config.rank.sentences or 0.0,
        queries=sum(fold.held_out.deciding for fold in folds) if compared else 0,
        compared=tuple(compared),
    )


def _deciding(folds: Sequence[Fold], trained: Trained) -> Scores:
    """Mean over the sizes of the score of each held-out query that decides, fold by fold."""
    pairs = zip(folds, trained.checks, strict=True)
    return np.concatenate([check.scores[:, : fold.held_out.deciding].mean(axis=0) for fold, check in pairs])
