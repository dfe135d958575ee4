"""One cell of a table: a method fitted to a dataset with a seed, and what it scores on the test split.

A cell is computed once and kept in ``benchmarks/results/cells``, so that a benchmark of hours can be
interrupted, and continued elsewhere. Its name is a hash of all that decides it except smec's own
code: use ``--fresh`` after a change of that.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.coded_methods import CodedRival, CodedSmec
from benchmarks.cross_validated import CrossValidated
from benchmarks.figures import SHIPPED, Figures, load, per_query, save
from benchmarks.methods import Method
from benchmarks.parts import fold_of, limited, parted
from smec import Dataset

Fitted = Method | CodedSmec | CodedRival | CrossValidated


@dataclass(frozen=True)
class Cell:
    """What to run.

    Attributes
    ----------
    method : Method, CodedSmec, CodedRival or CrossValidated
    dataset : str
        Folder that it is fitted to, or a fold of it: "folder@0".
    seed : int
        0 for what is not learned.
    labels : int or None
        Train queries that it may see, drawn with the seed; None: all.
    tuning : bool
        The test split is not touched: a fifth of the train queries, the same for every seed, stands for it.
    target : str or None
        Folder whose test split is scored, where it is another one.
    """

    method: Fitted
    dataset: str
    seed: int = 0
    labels: int | None = None
    target: str | None = None
    tuning: bool = False

    def key(self) -> str:
        """Name of its file."""
        parts = {
            "method": self.method.specification(),
            "dataset": self.dataset,
            "seed": self.seed,
            "labels": self.labels,
            "target": self.target,
            **({"tuning": True} if self.tuning else {}),
        }
        name = self.method.trained_name if isinstance(self.method, Method) else self.method.name
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{self.dataset}-{name.replace(' ', '-')}-{self.seed}-{digest[:12]}"


class Laboratory:
    """Runs cells, or finds them where they were run before.

    Parameters
    ----------
    data : Path
        Folder of dataset folders.
    made : Path
        Folder of the dataset folders that the benchmark makes itself.
    kept : Path
        Folder of finished cells.
    fresh : bool
        Run them again.
    """

    def __init__(self, data: Path, made: Path, kept: Path, *, fresh: bool = False) -> None:
        self._data = data
        self._made = made
        self._kept = kept
        self._fresh = fresh
        self._open: dict[str, Dataset] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Sent to a worker without the data, which it opens itself."""
        return {**self.__dict__, "_open": {}}

    def dataset(self, name: str) -> Dataset:
        """The dataset of this name, opened once."""
        if name not in self._open:
            folder, _, number = name.partition("@")
            given = self._data / folder
            whole = self._open.get(folder) or Dataset.open(given if given.is_dir() else self._made / folder)
            self._open[name] = fold_of(whole, int(number)) if number else whole
        return self._open[name]

    def finished(self, method: Fitted, dataset: str, seeds: Sequence[int], **rest: Any) -> list[Figures]:
        """Figures of the seeds that were run, all of them after `run_all`; ``rest`` as in `Cell`.

        What is not learned has one seed, 0.
        """
        return list(self.finished_by_seed(method, dataset, seeds, **rest).values())

    def finished_by_seed(
        self, method: Fitted, dataset: str, seeds: Sequence[int], **rest: Any
    ) -> dict[int, Figures]:
        """The same by seed; without those whose training has no such variant."""
        found = {}
        for seed in seeds if method.learned else [0]:
            cell = Cell(method, dataset, seed, **rest)
            if self._file(cell).is_file():
                variant = method.variant if isinstance(method, Method) else SHIPPED
                figures = self.run(cell).of_variant(variant)
                if figures is not None:
                    found[seed] = figures
        return found

    def differs(self, cell: Cell) -> bool:
        """False where the cell has all labels that there are, so that it is the one without a limit."""
        return cell.labels is None or cell.labels < len(self.dataset(cell.dataset).judged("train"))

    def run(self, cell: Cell) -> Figures:
        """Figures of a cell, of all its variants."""
        file = self._file(cell)
        if self._fresh or not file.is_file():
            figures = self._measure(cell)
            self._kept.mkdir(parents=True, exist_ok=True)
            save(figures, file)
        return load(file)

    def run_all(self, cells: Sequence[Cell], workers: int) -> Iterator[Cell]:
        """Run the cells that are missing, ``workers`` at a time with a thread each; yield what is done."""
        missing = [cell for cell in cells if self._fresh or not self._file(cell).is_file()]
        yield from (cell for cell in cells if cell not in missing)
        # Not forked: torch's threads do not survive that.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
            waiting = {pool.submit(self.run, cell): cell for cell in missing}
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        self._fresh = False

    def _file(self, cell: Cell) -> Path:
        return self._kept / f"{cell.key()}.npz"

    def _measure(self, cell: Cell) -> Figures:
        if isinstance(cell.method, CrossValidated):
            return cell.method.figures(self.dataset(cell.dataset), cell.seed)
        if not isinstance(cell.method, Method):
            return _coded_figures(cell.method, self.dataset(cell.dataset), cell.seed)
        whole = self.dataset(cell.dataset)
        dataset = parted(whole) if cell.tuning else limited(whole, cell.labels, cell.seed)
        scored = dataset if cell.tuning else self.dataset(cell.target or cell.dataset)
        return _figures(cell.method, dataset, scored, cell.seed)


def _figures(method: Method, dataset: Dataset, scored: Dataset, seed: int) -> Figures:
    start = time.perf_counter()
    encoders = method.encoders(dataset, seed)
    fitted = time.perf_counter()
    shipped = encoders[SHIPPED]
    shipped.encode(scored.corpus.vectors)
    encoded = time.perf_counter()
    fallbacks: dict[int, str] = getattr(shipped, "fallbacks", {})
    several = len(encoders) > 1
    return Figures(
        dims=tuple(dim for encoder in encoders.values() for dim in encoder.dims),
        ndcg=np.concatenate([per_query(scored, encoder) for encoder in encoders.values()]),
        fit_seconds=fitted - start,
        encode_seconds=encoded - fitted,
        fallbacks={str(dim): name for dim, name in fallbacks.items()},
        variants=tuple(name for name, one in encoders.items() for _ in one.dims) if several else (),
    )


def _coded_figures(method: CodedSmec | CodedRival, dataset: Dataset, seed: int) -> Figures:
    start = time.perf_counter()
    stored = method.stored(dataset, seed)
    seconds = time.perf_counter() - start
    return Figures(
        dims=tuple(one.dim for one in stored),
        ndcg=np.array([per_query(dataset, one.encoder)[0] for one in stored]),
        fit_seconds=seconds,
        encode_seconds=0.0,
        fallbacks={},
        codecs=tuple(one.codec for one in stored),
        held_out=tuple(one.held_out for one in stored if one.held_out is not None),
    )


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
