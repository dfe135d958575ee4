"""A rough guess of a training's time, until its first steps were measured: from counts, and a product's time.

Importing torch alone may take longer than a person wants to wait for an estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smec.config import TrainConfig, candidate_config
from smec.data.folder import find_corpus, find_qrels
from smec.data.qrels import read_qrels
from smec.data.readers import STREAMED, streamed
from smec.errors import SmecError

SLOWER = 2.5
"""Time of a training over that of its largest products alone; found on scifact-mpnet and manuals-ada002."""
KEPT = 256
"""Axes that a training keeps, about."""
CHECKED = 8192
"""Documents that its checks search, about."""
SCORED = 1.5e-3
"""Seconds in which the results of a query are scored, 1,000 documents deep."""
SORTED = 3e-9
"""Seconds in which a document finds its place among the results of a query."""
READ = 1.5e8
"""Bytes that are read and checked in a second."""
LOADING = 3.0
"""Seconds that torch takes to load, about."""


def guess_training(folder: Path, config: TrainConfig, *, rate: float | None = None) -> float | None:
    """Guess the seconds of a training from the size of its dataset.

    Parameters
    ----------
    folder : Path
        Dataset folder; only what its files say of themselves is read, and the train split.
    config : TrainConfig
    rate : float, optional
        Floating-point operations per second; measured by default.

    Returns
    -------
    float or None
        None where the sizes are not known without reading the corpus, or the dataset cannot be used.
    """
    try:
        shape = corpus_shape(folder)
        queries = _judged(folder) if config.supervised else 0
    except (SmecError, OSError):
        return None
    if shape is None:
        return None
    return LOADING + SLOWER * _operations(*shape, queries, config) / (rate or product_rate())


def guess_reading(folder: Path, config: TrainConfig, *, rate: float | None = None) -> float:
    """Guess the seconds in which a corpus of more rows than are held is read, with its moments."""
    try:
        shape = corpus_shape(folder)
    except (SmecError, OSError):
        return 0.0
    if shape is None or shape[0] <= config.pool:
        return 0.0
    rows, width = shape
    return 4.0 * rows * width / READ + SLOWER * 2.0 * rows * width * width / (rate or product_rate())


def guess_searches(
    folder: Path, split: str, searches: int, *, bytes_: int, rate: float | None = None
) -> float | None:
    """Guess the seconds of an evaluation: reading, moments for the baselines, searches and measures.

    Parameters
    ----------
    folder : Path
    split : str
        Whose queries are searched for; without any, rows of the corpus are.
    searches : int
    bytes_ : int
        Of the files.
    rate : float, optional
        Floating-point operations per second; measured by default.

    Returns
    -------
    float or None
        As for `guess_training`.
    """
    try:
        shape, judged = corpus_shape(folder), find_qrels(folder).get(split)
        queries = 1000 if judged is None else len(read_qrels(judged))
    except (SmecError, OSError):
        return None
    if shape is None:
        return None
    rows, width = shape
    products = 2.0 * rows * width * width + searches * rows * width * (width + queries)
    sorting = searches * queries * (SCORED + rows * SORTED)
    return bytes_ / READ + products / (rate or product_rate()) + sorting


def corpus_shape(folder: Path) -> tuple[int, int] | None:
    """Rows and width of a corpus, as its file tells without being read; None where it does not."""
    corpus = find_corpus(folder)
    suffix = ".parquet" if corpus.is_dir() else corpus.suffix
    if suffix not in STREAMED:
        return None
    source = streamed(suffix).source(corpus)
    width = getattr(source.schema.field("vector").type, "list_size", None)
    return None if width is None else (source.rows, width)


def product_rate(clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure floating-point operations per second, on a product that takes some milliseconds."""
    left, right = np.ones((1024, 512), dtype=np.float32), np.ones((512, 512), dtype=np.float32)
    taken = []
    for _ in range(5):
        began = clock()
        left @ right
        taken.append(clock() - began)
    return 2 * 1024 * 512 * 512 / max(sorted(taken)[2], 1e-9)


def _judged(folder: Path) -> int:
    train = find_qrels(folder).get("train")
    return 0 if train is None else len(read_qrels(train))


def _operations(rows: int, width: int, queries: int, config: TrainConfig) -> float:
    """Count the operations of the products of all steps and checks."""
    folds = config.validation.folds if 0 < queries < config.validation.few else 1
    rows = min(rows, config.pool)
    widest = max(config.dims or [width // 2])
    held_out = min(config.validation.most, max(4, round(config.validation.share * (queries or rows))))
    reduced = config.start != "identity" and config.layers == "nested"
    axes = min(KEPT, width) if reduced else width
    trained = min(widest, axes)
    # Sizes together have about twice the columns of the largest.
    whole = 4.0 * rows * widest * (width + held_out)
    check = 4.0 * (min(rows, CHECKED) if reduced else rows) * trained * (axes + held_out)
    steps = checks = 0.0
    for one in _candidates(config, folds):
        options = one.optimiser
        passes = math.ceil(options.passes * (queries or min(rows, 10_000)) / options.batch)
        count = folds * max(options.steps, passes)
        documents = min(rows, options.batch * (1 + options.hard_negatives) + options.negatives)
        steps += count * documents * (6.0 * trained * axes + 4.0 * options.batch * axes)
        checks += count / one.validation.every + folds * (1 + len(one.validation.mixtures))
    return steps + check * checks + whole * (27 * folds if queries else 5)


def _candidates(config: TrainConfig, folds: int) -> list[TrainConfig]:
    names = [n for n in config.candidates if n != "trained" or folds == 1 or config.corpus == "fixed"]
    return [candidate_config(config, name) for name in names] or [config]
