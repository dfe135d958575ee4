"""``train``: from a dataset to a compressor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smec.artefact import WeighedScore
from smec.baselines.pca import principal_axes
from smec.codecs import check_installed, code_bytes, usual
from smec.compressor import Compressor
from smec.config import CorpusKind, Preset, TrainConfig, build_config
from smec.data import Dataset
from smec.data.sample import OnRows, open_sample
from smec.encoder import check_dims, default_dims
from smec.errors import ConfigError, DataError
from smec.method.assembly import assemble, fingerprints, libraries, make_blocks
from smec.method.baselines import baselines
from smec.method.candidates import Trained, candidate_configs, train_candidates
from smec.method.choice import Coded, choose, combinations
from smec.method.feedback_weight import choose_weight as choose_feedback
from smec.method.fold_scores import measure_both, measure_folds
from smec.method.folds import Fold, Start, average, check_judgements, draw_folds, teaches_unjudged
from smec.method.gate import Measured, judge
from smec.method.kept_axes import KeptAxes, keep_axes
from smec.method.schedule import OnProgress
from smec.method.sentences import choose_weight, record, weights
from smec.method.unjudged import measure_new_documents
from smec.method.workload import (
    CHOICE,
    CODECS,
    FEEDBACK,
    GATE,
    LIFTED,
    Reporter,
    Workload,
    final_work,
    workload,
)
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint, reading_of
from smec.training.execution import Execution, Precision, alone
from smec.training.loop import load_optimiser
from smec.training.pool import FEWEST_LOGGED, judged_train_queries, logged_queries
from smec.training.work import Kind, OnWork


def train(
    dataset: Dataset | str | Path,
    *,
    dims: Sequence[int] | None = None,
    preset: Preset = "default",
    supervised: bool = True,
    corpus: CorpusKind = "growing",
    seed: int | None = None,
    config: TrainConfig | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    keep_checkpoint: bool = False,
    progress: OnProgress | None = None,
    work: OnWork | None = None,
    reading: OnRows | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    execution: Execution | None = None,
) -> Compressor:
    """Train a compressor on embeddings that exist already.

    Parameters
    ----------
    dataset : Dataset or path of a dataset folder
        Its train split is used, and queries that no other split names. Of a folder with more than
        ``config.pool`` rows only a sample is held: see `smec.data.sample.open_sample`.
    dims : sequence of int, optional
        Sizes to serve, descending; D/2 to D/32 by default.
    preset : {"default", "paper"}
    supervised : bool
        Learn from the train qrels too; otherwise from queries and documents alone.
    corpus : {"growing", "fixed"}
        Whether documents will be searched that nobody has judged; "fixed": the corpus is judged throughout,
        and queries that ask for judged documents decide.
    seed : int, optional
        Same seed, data and machine: the same bytes.
    config : TrainConfig, optional
        In place of ``dims``, ``preset``, ``supervised``, ``corpus`` and ``seed``.
    checkpoint : path, optional
        File for the state of an unfinished training, and the beginning of the names of others beside it;
        removed at the end.
    resume : bool
        Go on from ``checkpoint`` if it exists; a large corpus whose files are as they were is not read again.
    keep_checkpoint : bool
        Leave ``checkpoint`` for the caller to remove with `smec.training.checkpoint.discard`, when the
        compressor is saved.
    progress : callable, optional
        Given a `Progress` after every step.
    work : callable, optional
        Given a `Work` after every piece of work: what was done since the call before, and what is left.
    reading : callable, optional
        Called with (rows read, rows in all) while a corpus of more than ``config.pool`` rows is read.
    device : {"auto", "cpu", "cuda", "cuda:N", "mps"}
        Where it is computed; by default on a GPU where there is one.
    precision : {"float32", "bf16"}
        Of the products in the loss; what is learned is float32 in any case.
    execution : Execution, optional
        In place of ``device`` and ``precision``; that of `smec.training.execution.together` trains in
        all processes that torchrun started. The first one alone keeps the checkpoint and calls back.

    Raises
    ------
    DataError
        The dataset cannot be used: see `Dataset`; fewer than four judged train queries.
    ConfigError
        Sizes above D or not descending, a checkpoint of another training, or a device that is not there.
    MissingExtraError
        torch or ir-measures is not installed: ``pip install 'smec[train]'``.
    """
    execution = execution or alone(device, precision)
    if not execution.processes.first:
        checkpoint = progress = reading = work = None
    config = config or build_config(
        preset,
        supervised=supervised,
        dims=tuple(dims) if dims is not None else None,
        corpus=corpus,
        seed=seed,
    )
    if not isinstance(dataset, Dataset):
        dataset = opened(dataset, config, reading, checkpoint=checkpoint, resume=resume)
    run = prepare(dataset, config, execution, resume)
    states = _States(checkpoint, run)
    if not resume:
        states.discard()  # those of an earlier training, which a later --resume would meet
    load_optimiser()
    report = Reporter(run.work(), progress, work)
    trained, compared = _trained(run, states, resume, report)
    unjudged = None
    if run.config.supervised and run.config.corpus == "fixed":
        further = states.further()
        unjudged = measure_new_documents(
            dataset, run.start, run.kept, trained, further, resume=resume, progress=report.round(2)
        )
    gate = run.config.validation.gate
    compressor = _ship(run, trained, report, gate=gate, unjudged=unjudged, compared=compared)
    if not keep_checkpoint:
        states.discard()
        if checkpoint is not None:
            reading_of(Path(checkpoint)).unlink(missing_ok=True)
    return compressor


def train_with_candidates(dataset: Dataset, config: TrainConfig) -> tuple[Compressor, Compressor]:
    """Train once; return what the gate ships, and the trained map at every size."""
    run = prepare(dataset, config, alone("cpu"), resume=False)
    silent = Reporter(run.work(), None, None)
    trained, _ = _trained(run, _States(None, run), False, silent)
    return _ship(run, trained, silent, gate=True), _ship(run, trained, silent, gate=False)


def cross_validate(
    dataset: Dataset, config: TrainConfig
) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.bool_]]:
    """Score a configuration on the train queries that its folds hold out, each by a map that never saw it.

    Returns
    -------
    dims : tuple of int
        Sizes, descending.
    scores : ndarray of shape (sizes, held-out queries)
        nDCG@10 of the map itself, without the gate.
    new : ndarray of shape (held-out queries,), bool
        Whether the query asks for documents that are relevant to no fitted query.
    """
    run = prepare(dataset, config, alone("cpu"), resume=False)
    trained, _ = _trained(run, _States(None, run), False, Reporter(run.work(), None, None))
    new = [np.arange(fold.held_out.count) < fold.held_out.new for fold in run.folds]
    scores = np.concatenate([check.scores for check in trained.checks], axis=1)
    return run.start.sizes, scores, np.concatenate(new)


@dataclass(frozen=True)
class Run:
    """A training that is ready to start."""

    dataset: Dataset
    config: TrainConfig
    data: dict[str, str]
    start: Start
    folds: list[Fold]
    kept: KeptAxes | None
    """Axes in which it is trained; None: in all coordinates of the originals."""
    stored: list[Coded]
    """Sizes and codecs to choose from; empty where nothing is to be chosen."""
    weights: tuple[float, ...]
    """Weights of sentences that are compared with 0."""

    def work(self) -> Workload:
        """Count the work ahead."""
        start, config = self.within()
        return workload(start, config, self.folds, self.weights, self.final())

    def within(self) -> tuple[Start, TrainConfig]:
        """Return the start and the configuration of what is trained: in the kept axes, if there are any."""
        if self.kept is None:
            return self.start, self.config
        start = self.kept.within()
        return start, self.config.model_copy(update={"dims": start.sizes})

    def final(self) -> dict[Kind, float]:
        """Count what follows the stages, in checks."""
        return final_work(self.start, self.config, self.folds, len(self.stored), lifted=self.kept is not None)


def prepare(dataset: Dataset, config: TrainConfig, execution: Execution, resume: bool) -> Run:
    """Check sizes, codecs and processes; fit the baselines; draw the folds."""
    sizes = check_dims(default_dims(dataset.dim) if config.dims is None else config.dims, dataset.dim)
    config = config.model_copy(update={"dims": sizes})
    for dim in sizes if config.codec is not None else ():
        code_bytes(str(config.codec), dim)  # says which size it cannot pack
    if config.supervised:
        check_judgements(dataset)
    if dataset.log is not None and not teaches_unjudged(config):
        raise ConfigError(
            "this training does not learn from queries without judgements: leave the log out, or use preset "
            "default"
        )
    data = fingerprints(dataset, config)
    searched = config.budget is not None or config.target is not None
    # Codebooks are tried on the pool.
    stored = combinations(config, sizes, min(len(dataset.corpus), config.pool)) if searched else []
    for name in usual(sizes, config.codec):
        check_installed(name)  # now, not when all has been trained
    processes = execution.processes
    processes.check_same({"config": config.model_dump(mode="json"), "data": data, "resume": resume})
    moment = dataset.moments.second
    axes = processes.of_first(principal_axes(moment))
    fitted = baselines(dataset, sizes, axes.astype(np.float32), centred=config.supervised)
    start = Start(sizes, axes, moment, fitted, dataset.dim // 2, execution)
    folds = draw_folds(dataset, config, execution)
    if config.queries == "own" and folds[0].held_out.asked == "documents":
        raise DataError(
            f"{dataset.name}: queries 'own' learn from queries, and there are fewer than {FEWEST_LOGGED} "
            "different ones; add some (queries.*, or --queries LOG), or leave queries 'shared'"
        )
    reduced = config.start != "identity" and config.layers == "nested"
    kept = keep_axes(start, folds) if reduced else None
    return Run(dataset, config, data, start, folds, kept, stored, weights(dataset, config))


def _trained(
    run: Run, states: _States, resume: bool, report: Reporter
) -> tuple[Trained, tuple[WeighedScore, ...]]:
    """Train the candidates; train the best one with sentences too, where there are any to weigh."""
    folds = run.folds if run.kept is None else run.kept.folds(run.folds)
    start, config = run.within()
    compared: tuple[WeighedScore, ...]
    trained, compared = train_candidates(start, config, folds, states, resume, report.round(0)), ()
    report.ended(0)
    if run.weights:
        first, progress = states.candidates, report.round(1)
        trained, compared = choose_weight(
            start, config, trained, folds, run.weights, states, first, resume, progress
        )
        report.ended(1)
    if run.kept is not None:
        pairs = zip(trained.checks, run.folds, strict=True)
        trained = replace(trained, checks=[run.kept.lifted(*pair, trained.config) for pair in pairs])
        report.finished(LIFTED)
    return trained, compared


def _ship(
    run: Run,
    trained: Trained,
    report: Reporter,
    *,
    gate: bool,
    unjudged: dict[int, Measured] | None = None,
    compared: tuple[WeighedScore, ...] = (),
) -> Compressor:
    """Decide what every size ships, and make the compressor."""
    config, start = run.config, run.start
    candidates = start.candidates(average(trained.checks))
    held_out = run.folds[0].held_out
    measured, agreement = None, None
    parts = run.dataset, start, run.folds, trained.checks, config.codec
    if config.supervised and (trained.name == UNLABELLED or trained.config.start == "unlabelled"):
        measured, agreement = measure_both(*parts)
    judged = judge(
        measured or measure_folds(*parts),
        held_out.metric,
        enabled=gate,
        corpus=config.corpus,
        unjudged=unjudged,
        asked=held_out.asked,
        weakened=trained.config.schedule == "joint" and trained.config.distillation.tempering > 0,
        agreement=agreement,
    )
    report.finished(GATE)
    validation = judged.model_copy(
        update={
            "candidate": trained.name,
            "step": trained.step,
            "mixture": trained.mixture,
            "axes": None if run.kept is None else run.kept.rank,
            "axes_agreement": None if run.kept is None else run.kept.agreement,
            "folds": len(run.folds),
            "unused": -(-sum(fold.unused for fold in run.folds) // len(run.folds)),
            "removed": -(-sum(fold.removed for fold in run.folds) // len(run.folds)),
        }
    )
    choice = choose(start, run.folds, trained, validation, run.stored) if run.stored else None
    report.finished(CHOICE)
    feedback = None
    if config.supervised:
        feedback = choose_feedback(run.dataset, start, run.folds, trained, validation)
        report.finished(FEEDBACK)
    compressor = assemble(
        run.dataset,
        config,
        make_blocks(candidates, validation, trained.results[0].heads),
        validation,
        choice=choice,
        feedback=feedback,
        sentences=record(run.dataset, trained.config, compared, run.folds),
        stages=[stage for result in trained.results for stage in result.stages],
        data=run.data,
        software=libraries() | start.execution.provenance(),
    )
    report.finished(CODECS)
    return compressor


class _States:
    """Where the state of each candidate's training on each fold is kept: one file each, or nowhere."""

    def __init__(self, path: str | Path | None, run: Run) -> None:
        self._path = None if path is None else Path(path)
        self._run = run
        self.candidates = len(candidate_configs(run.config, len(run.folds)))
        # Behind the candidates come those with sentences; a fixed corpus has two more, for new documents.
        self._trainings = self.candidates + len(run.weights) + 2

    def __call__(self, candidate: int, fold: int) -> Checkpoint:
        """Return the state of one training."""
        number = candidate * len(self._run.folds) + fold
        identity = {
            "config": self._run.config.model_dump(mode="json"),
            "data": self._run.data,
            "fold": number,
        }
        if self._path is None:
            return Checkpoint(None, identity)
        file = self._path.with_name(f"{self._path.name}-{number}") if number else self._path
        return Checkpoint(file, identity)

    def further(self) -> tuple[Checkpoint, Checkpoint]:
        """Return the states of what a fixed corpus trains further, for new documents."""
        return self(self._trainings - 2, 0), self(self._trainings - 1, 0)

    def discard(self) -> None:
        """Remove the files of all trainings."""
        for candidate in range(self._trainings):
            for fold in range(len(self._run.folds)):
                self(candidate, fold).discard()


def opened(
    path: str | Path,
    config: TrainConfig,
    reading: OnRows | None = None,
    *,
    log: str | Path | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> Dataset:
    """A dataset folder as a training with this configuration takes it, with a log of queries beside it.

    What is read of a large corpus is kept beside ``checkpoint``, and with ``resume`` it is not read again as
    long as its files are as they were.
    """
    keep = None if checkpoint is None else reading_of(Path(checkpoint))
    if keep is not None and not resume:
        keep.unlink(missing_ok=True)
    split = "train" if config.supervised else None
    return open_sample(path, config.pool, seed=config.seed, split=split, progress=reading, log=log, keep=keep)


def found(dataset: Dataset, config: TrainConfig) -> str:
    """Say what there is to learn from: "809 queries, 30 of them judged; 2,000 sentences; 5,183 documents".

    Raises
    ------
    DataError
        As for `train`.
    """
    judged = len(judged_train_queries(dataset)) if config.supervised else 0
    said = f"{dataset.moments.rows:,} documents"
    if (sentences := dataset.sentences()) is not None:
        said = f"{len(sentences):,} sentences; {said}"
    queries = learned_queries(dataset, config)
    return f"{queries:,} queries, {judged:,} of them judged; {said}" if queries else said


def learned_queries(dataset: Dataset, config: TrainConfig) -> int:
    """Count the queries that are learned from, judged or not, or held out of these."""
    judged = len(judged_train_queries(dataset)) if config.supervised else 0
    if not teaches_unjudged(config):
        return judged
    drawn = logged_queries(dataset, seed=config.seed, validation=config.validation, judged=config.supervised)
    return judged + sum(map(len, drawn))
