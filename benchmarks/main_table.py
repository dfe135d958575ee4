"""The main table: every method on every dataset at every size, on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Figures, Laboratory, full_size
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, SUPERVISED, UNSUPERVISED, Method
from smec.evaluation import bootstrap_interval, paired_p_value

DATASETS = ("scifact-mpnet", "cranfield-mpnet", "medquad-minilm", "grocery-effnet")

Document = dict[str, Any]


def cells(datasets: Sequence[str], seeds: Sequence[int]) -> Iterator[Cell]:
    """What has to be run, the quickest and most telling first."""
    for seed in seeds:
        for dataset in datasets:
            for method in (*UNSUPERVISED, *SUPERVISED):
                if method.learned or seed == seeds[0]:
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, datasets: Sequence[str], seeds: Sequence[int]) -> Document:
    """Means over seeds, their spread, intervals over queries and paired tests against ``default``."""
    tables = []
    for dataset in datasets:
        full = full_size(laboratory.dataset(dataset))
        for supervised, methods, reference in (
            (True, SUPERVISED, DEFAULT),
            (False, UNSUPERVISED, DEFAULT_UNSUPERVISED),
        ):
            of_method = {method: _runs(laboratory, method, dataset, seeds) for method in methods}
            default = _mean_over_seeds(of_method[reference])
            tables.append(
                {
                    "dataset": dataset,
                    "supervised": supervised,
                    "queries": len(full),
                    "dims": list(of_method[reference][0].dims),
                    "full": float(full.mean()),
                    "full_ci": list(bootstrap_interval(full)),
                    "methods": [
                        _row(method.name, runs, default if method != reference else None)
                        for method, runs in of_method.items()
                    ],
                }
            )
    return {"seeds": list(seeds), "tables": tables}


def _runs(laboratory: Laboratory, method: Method, dataset: str, seeds: Sequence[int]) -> list[Figures]:
    return [laboratory.run(Cell(method, dataset, seed)) for seed in (seeds if method.learned else seeds[:1])]


def _mean_over_seeds(runs: Sequence[Figures]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.mean([run.ndcg for run in runs], axis=0)
    return mean


def _row(name: str, runs: Sequence[Figures], default: NDArray[np.float64] | None) -> Document:
    by_seed = np.array([run.ndcg.mean(axis=1) for run in runs])
    per_query = _mean_over_seeds(runs)
    row: Document = {
        "method": name,
        "seeds": len(runs),
        "ndcg": _rounded(by_seed.mean(axis=0)),
        "spread": _rounded(by_seed.std(axis=0, ddof=1)) if len(runs) > 1 else None,
        "ci": [_rounded(np.array(bootstrap_interval(values))) for values in per_query],
        "fallbacks": _rounded(np.mean([[str(d) in run.fallbacks for d in run.dims] for run in runs], axis=0)),
        "fit_seconds": round(float(np.median([run.fit_seconds for run in runs])), 1),
        "encode_seconds": round(float(np.median([run.encode_seconds for run in runs])), 3),
    }
    if default is not None:
        pairs = zip(default, per_query, strict=True)
        row["p_against_default"] = [round(paired_p_value(ours, theirs), 4) for ours, theirs in pairs]
    return row


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]
