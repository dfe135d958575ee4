"""New documents of a fixed corpus: one more training holds them out, and says how they fare."""

from __future__ import annotations

from smec.config import candidate_config
from smec.data import Dataset
from smec.method.candidates import Trained, mixed, scored_as
from smec.method.fold_scores import measure_folds
from smec.method.folds import Start, draw_folds, train_fold
from smec.method.gate import Measured
from smec.method.kept_axes import KeptAxes
from smec.method.schedule import OnProgress
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint


def measure_new_documents(
    dataset: Dataset,
    start: Start,
    kept: KeptAxes | None,
    trained: Trained,
    states: tuple[Checkpoint, Checkpoint],
    *,
    resume: bool = False,
    progress: OnProgress | None = None,
) -> dict[int, Measured] | None:
    """Train once more with the chosen settings, on a part by document, and score its new documents.

    Parameters
    ----------
    dataset : Dataset
    start : Start
    kept : KeptAxes or None
        Axes in which it was trained; None: in all coordinates.
    trained : Trained
        The training that was chosen, on folds by query.
    states : (Checkpoint, Checkpoint)
        States of this training, and of "unlabelled" where it starts from that.
    resume : bool
    progress : callable, optional

    Returns
    -------
    dict of int to Measured, or None
        Size -> scores on held-out queries that ask for new documents; None where all queries share documents,
        so that there are none.
    """
    checks = trained.config.validation.model_copy(update={"folds": 1})
    config = trained.config.model_copy(update={"corpus": "growing", "validation": checks})
    (fold,) = draw_folds(dataset, config, start.execution)
    if not fold.held_out.new:
        return None
    inside, of_training = fold, start
    if kept is not None:
        (inside,), of_training = kept.folds([fold]), kept.within()
    begun = None
    if config.start == "unlabelled":
        first = candidate_config(config, UNLABELLED)
        result = train_fold(of_training, first, inside, states[1], (0, 2), resume, progress)
        begun = list(result.checks.values())[-1].widest
    place = (0, 1) if begun is None else (1, 2)
    result = train_fold(of_training, config, inside, states[0], place, resume, progress, begun)
    step = trained.step
    if step is not None:  # this training may have stopped before
        step = max(of for of in result.checks if of is not None and of <= step)
    check = result.checks[step]
    if trained.mixture < 1:
        check = mixed(inside, result, step, trained.mixture, scored_as(config.codec))
    if kept is not None:
        check = kept.lifted(check, fold, config)
    measured = measure_folds(dataset, start, [fold], [check], config.codec)
    return {dim: size.of(size.new) for dim, size in measured.items()}
