"""``adapt``: a matrix of their own for queries, from judgements or a log that came after the index.

Every stored document vector stays valid, bit for bit: only `Compressor.encode_queries` changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smec import __version__
from smec.adaptation import Adaptation, AdaptedSize
from smec.baselines.pca import principal_axes
from smec.compressor import Compressor
from smec.config import CorpusKind, TrainConfig, overlay, parsed, read_document, trained_config
from smec.contents import CANARY_INPUTS, MEAN
from smec.data import Dataset
from smec.data.sample import OnRows
from smec.errors import ConfigError, DataError
from smec.method.assembly import fingerprints, libraries
from smec.method.axes import teacher_axes
from smec.method.candidates import best_check
from smec.method.folds import Fold, FoldResult, average, draw_folds
from smec.method.query_gate import MeasuredQueries, described, queries_gain
from smec.method.query_learning import StoredBlock, learn_queries, query_plan, stored_block
from smec.method.schedule import OnProgress
from smec.method.trainer import opened
from smec.method.workload import Reporter, StageWork, Workload
from smec.own_queries import with_queries
from smec.presets import ADAPTED
from smec.training.pool import FEWEST_LOGGED
from smec.training.work import OnWork
from smec.vectors import Float32Array, normalise
from smec.verification import SAME_MEAN_COSINE, SAME_MODEL_COSINE

NOT_CHOSEN = ("preset", "dims", "candidates", "own", "start", "queries", "codec", "budget", "target")
"""Fields of a configuration that an adaptation takes from the compressor or has no use for."""


def adapt(
    compressor: Compressor,
    dataset: Dataset | str | Path,
    *,
    supervised: bool = True,
    corpus: CorpusKind | None = None,
    seed: int | None = None,
    config: TrainConfig | None = None,
    progress: OnProgress | None = None,
    work: OnWork | None = None,
    reading: OnRows | None = None,
) -> Compressor:
    """Learn a matrix for queries from new judgements or a log; documents keep their vectors, bit for bit.

    Parameters
    ----------
    compressor : Compressor
        May have been adapted before: queries then go on from the matrix that they have.
    dataset : Dataset or path of a dataset folder
        Full-size embeddings of documents and queries, by the model that the compressor was trained on. The
        corpus may have grown since.
    supervised : bool
        Learn from the train qrels, and from queries without judgements; otherwise from queries alone.
    corpus : {"growing", "fixed"}, optional
        As for `train`; by default what the compressor was trained with.
    seed : int, optional
        Same seed, data and machine: the same bytes.
    config : TrainConfig, optional
        In place of ``supervised``, ``corpus`` and ``seed``: see `adaptation_config`.
    progress : callable, optional
        Given a `Progress` after every step.
    work : callable, optional
        Given a `Work` after every piece of work.
    reading : callable, optional
        As for `train`.

    Returns
    -------
    Compressor
        A new one of the same ``fingerprint``. Its manifest's last of ``adaptations`` has what held-out
        queries scored. A block where they were not better keeps the matrix that it had.

    Raises
    ------
    DataError
        The dataset is of another width or of another model, has fewer than four judged train queries or
        without labels fewer than eight queries, or cannot be used.
    MissingExtraError
        torch or ir-measures is not installed: ``pip install 'smec[train]'``.
    """
    config = config or adaptation_config(compressor, supervised=supervised, corpus=corpus, seed=seed)
    dataset = dataset if isinstance(dataset, Dataset) else opened(dataset, config, reading)
    _check_embeddings(compressor, dataset)
    _check_signals(dataset, config)
    folds = draw_folds(dataset, config, unjudged=True)
    if folds[0].held_out.asked == "documents":
        raise DataError(
            f"{dataset.name}: there are fewer than {FEWEST_LOGGED} different queries to learn from that no "
            "other split judges; add some to queries.*, or a log (--queries LOG)"
        )
    teacher = _teacher(dataset, config)
    report = Reporter(_workload(compressor, config, folds), progress, work)
    told = report.round(0)
    places = len(compressor.blocks) * len(folds)
    queries: dict[int, Float32Array] = {}
    sizes: list[AdaptedSize] = []
    for number, block in enumerate(compressor.blocks):
        documents = folds[0].pool.documents.numpy()
        stored = stored_block(compressor, block, documents, trained_config(compressor.manifest).codec)
        results = [
            learn_queries(stored, config, fold, teacher, (number * len(folds) + fold.number, places), told)
            for fold in folds
        ]
        learned, measured = _decided(stored, config, folds, results)
        if learned is not None:
            queries[block.dims[0]] = learned
        sizes += measured
    report.ended(0)
    record = _record(compressor, dataset, config, folds, sizes)
    fields = {
        "smec_version": __version__,
        "adaptations": (*compressor.manifest.adaptations, record),
        "libraries": libraries(),
    }
    return with_queries(compressor, dict(queries), fields)


def _workload(compressor: Compressor, config: TrainConfig, folds: Sequence[Fold]) -> Workload:
    """Count the work ahead: a training of each block on each fold, and its mixtures."""
    mixtures = len(config.validation.mixtures) * len(folds)
    stages, before = [], 0
    for number, block in enumerate(compressor.blocks):
        for fold in folds:
            plan = query_plan(config, compressor.input_dim, block.dims, fold)
            stages.append(StageWork(f"block {number + 1}", plan.steps, config.validation.every, before))
            before = 0
        before = mixtures
    return Workload([stages], [mixtures], {})


def adaptation_config(
    compressor: Compressor,
    *,
    supervised: bool = True,
    corpus: CorpusKind | None = None,
    seed: int | None = None,
    file: str | Path | None = None,
) -> TrainConfig:
    """The configuration of an adaptation: `ADAPTED`, and the compressor's own teacher, corpus and seed.

    Parameters
    ----------
    compressor : Compressor
        Where all its sizes were trained at once, the teacher's axes are weakened as they were there.
    supervised : bool
    corpus : {"growing", "fixed"}, optional
    seed : int, optional
    file : path, optional
        JSON file of configuration fields, laid over all but the arguments.

    Raises
    ------
    ConfigError
        An unknown field, one that an adaptation does not choose, a value out of range, or an unreadable file.
    """
    trained = trained_config(compressor.manifest)
    tempering = trained.distillation.tempering if trained.schedule == "joint" else 0.0
    own = {
        "corpus": trained.corpus,
        "seed": trained.seed,
        "pool": trained.pool,
        "distillation": {"tempering": tempering},
    }
    given = {"corpus": corpus, "seed": seed}
    document = overlay(ADAPTED, own)
    for layer in (
        {} if file is None else _file_of_settings(Path(file)),
        {name: value for name, value in given.items() if value is not None},
        {"supervised": supervised, "dims": compressor.dims, "candidates": (), "queries": "own"},
    ):
        document = overlay(document, layer)
    return parsed(TrainConfig, document, "configuration")


def _file_of_settings(file: Path) -> dict[str, Any]:
    """The fields of a file; ConfigError where one of them would have no effect."""
    document = read_document(file)
    if "supervised" in document:
        raise ConfigError(f"{file}: supervised: leave it out; --unsupervised adapts without labels")
    for name in NOT_CHOSEN:
        if name in document:
            raise ConfigError(
                f"{file}: {name}: has no effect on an adaptation, which keeps the compressor's sizes and "
                "stored vectors; leave it out"
            )
    return document


def _check_embeddings(compressor: Compressor, dataset: Dataset) -> None:
    """Raise DataError where the dataset was embedded by another model, as far as can be told."""
    if dataset.dim != compressor.input_dim:
        raise DataError(
            f"{dataset.name} has {dataset.dim} dims, the compressor takes {compressor.input_dim}: "
            "adapt it with embeddings of the model that it was trained on"
        )
    ids = compressor.manifest.canary_ids
    known = [(n, dataset.corpus.row(id_)) for n, id_ in enumerate(ids) if id_ in dataset.corpus.rows]
    if not known:
        return
    canaries, rows = (np.array(side) for side in zip(*known, strict=True))
    there = normalise(dataset.corpus.vectors[rows])
    cosines = np.einsum("ij,ij->i", compressor.tensors[CANARY_INPUTS][canaries], there)
    means = normalise(np.stack([compressor.tensors[MEAN], dataset.moments.mean]).astype(np.float32))
    # Ids can be given again to other documents; those lie about where the others did.
    if cosines.max() < SAME_MODEL_COSINE and means[0] @ means[1] < SAME_MEAN_COSINE:
        raise DataError(
            f"{dataset.name}: document {ids[known[0][0]]!r} and all others that the compressor knows have "
            "embeddings of another model: adapt it with embeddings of the model that it was trained on"
        )


def _check_signals(dataset: Dataset, config: TrainConfig) -> None:
    if config.supervised and "train" not in dataset.splits:
        raise DataError(
            f"{dataset.name}: has no judgements of train queries (qrels/train.tsv): adapt without labels "
            "(--unsupervised), which learns from queries that nobody judged"
        )


def _teacher(dataset: Dataset, config: TrainConfig) -> Float32Array | None:
    moment = dataset.moments.second
    return teacher_axes(principal_axes(moment), moment, config.distillation.tempering)


def _decided(
    stored: StoredBlock, config: TrainConfig, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> tuple[Float32Array | None, list[AdaptedSize]]:
    """The matrix that a block ships, None where it keeps what it had, and what its sizes scored."""
    chosen = best_check(None, config, folds, results, stored.scores)
    held_out = [fold.held_out for fold in folds]
    labels = held_out[0].metric == "ndcg@10"
    measured = MeasuredQueries(
        full=np.concatenate([one.full() for one in held_out]),
        before=np.concatenate([result.checks[0].scores for result in results], axis=1),
        own=np.concatenate([check.scores for check in chosen.checks], axis=1),
        new=np.concatenate([np.arange(one.count) < one.new for one in held_out]),
    )
    ships = queries_gain(measured, config.corpus if labels else None)
    dims = stored.block.dims
    sizes = described(dims, measured, ships=ships, labels=labels, step=chosen.step, mixture=chosen.mixture)
    return np.ascontiguousarray(average(chosen.checks)[dims[0]].matrix) if ships else None, sizes


def _record(
    compressor: Compressor,
    dataset: Dataset,
    config: TrainConfig,
    folds: Sequence[Fold],
    sizes: Sequence[AdaptedSize],
) -> Adaptation:
    labels = folds[0].held_out.metric == "ndcg@10"
    judged = len(dataset.judged("train")) if config.supervised else 0
    pool = folds[0].pool
    fields: dict[str, Any] = {
        "fingerprint": compressor.fingerprint,
        "query_fingerprint": compressor.query_fingerprint,
        "metric": folds[0].held_out.metric,
        "corpus": config.corpus if labels else None,
        "queries": judged + len(pool.log) + len(pool.held_out_log),
        "judged": judged,
        "data": fingerprints(dataset, config),
        "training": config.model_dump(mode="json"),
        "sizes": tuple(sizes),
    }
    return Adaptation.model_validate(fields)
