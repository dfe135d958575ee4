"""How the settings of ``default`` were chosen: by cross-validation by document within the train queries.

Every setting trains on the folds of `smec.train` and is scored, without the gate, on the train queries that
they hold out. The test split is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.cells import Cell, Laboratory
from benchmarks.cross_validated import CrossValidated
from benchmarks.figures import Figures
from benchmarks.markdown import points, signed, table
from benchmarks.methods import DEFAULT, Method, smec
from benchmarks.plan import Plan
from smec.config import overlay
from smec.presets import CANDIDATES, UNLABELLED

NAME = "cross_validation"

Document = dict[str, Any]

DATASETS = ("scifact-mpnet", "cranfield-mpnet", "xquad-e5")
"""Those that the rivals are tuned on; what ships is scored on all datasets."""


def _candidate(name: str, label: str = "", **changes: Any) -> Method:
    """One candidate of ``default`` alone, or with changes."""
    title = f"{name}, {label}" if label else f"{name} alone"
    return smec(title, candidates=(), **overlay(CANDIDATES[name], changes))


def _unlabelled(label: str, **changes: Any) -> Method:
    """The candidate that reads no label; its last step, as it ships."""
    return smec(f"unlabelled, {label}" if label else "unlabelled", candidates=(UNLABELLED,), **changes)


EVERYWHERE = (DEFAULT,)

SETTINGS = (
    *EVERYWHERE,
    _candidate("distilled"),
    _candidate("tempered"),
    _candidate("distilled", "from the principal axes", start="pca"),
    _candidate("distilled", "learning rate 0.001", optimiser={"learning_rate": 1e-3}),
    _candidate("distilled", "labels' weight 0.3", rank={"weight": 0.3}),
    _candidate("tempered", "from the principal axes", start="pca"),
    _candidate("tempered", "labels' weight 1", rank={"weight": 1.0}),
    _candidate("tempered", "labels' weight 10", rank={"weight": 10.0}),
    _candidate("tempered", "teacher tempered by 0.3", distillation={"tempering": 0.3}),
    _candidate("tempered", "teacher tempered by 0.9", distillation={"tempering": 0.9}),
    _candidate("tempered", "learning rate 0.006", optimiser={"learning_rate": 6e-3}),
    _candidate("trained"),
    smec("no teacher", distillation={"weight": 0.0}),
    smec("teacher of queries alone", distillation={"anchors": 0}),
    smec("240 steps", optimiser={"steps": 240}),
    smec("1,024 negatives", optimiser={"negatives": 1024}),
    smec("no hard negatives", optimiser={"hard_negatives": 0}),
    _candidate("tempered", "residual in principal coordinates", coordinates="principal"),
    smec("start not tempered", tempering=0.0),
    smec("no averaging of steps", optimiser={"averaging": 0.0}),
    smec("with memory (S-XBM)", memory={"loss": "listwise", "weight": 1.0}),
    smec("no mixtures with the start", validation={"mixtures": ()}),
    smec("SMRL, one size after another", schedule="sequential", optimiser={"growth": 0.0}),
    _unlabelled(""),
    _unlabelled("teacher not tempered", distillation={"tempering": 0.0}),
    _unlabelled("teacher tempered by 0.3", distillation={"tempering": 0.3}),
    _unlabelled("no documents taught", distillation={"anchors": 0}),
    _unlabelled("residual in rotated coordinates", coordinates="rotated"),
)
"""Settings that were compared. Add what is tried."""


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run, with the first seed."""
    for method in SETTINGS:
        for dataset in plan.datasets if method in EVERYWHERE else DATASETS:
            yield Cell(CrossValidated(method), dataset, plan.seeds[0])


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Mean nDCG@10 over the sizes per setting and dataset, on new documents and on seen ones."""
    rows = []
    for method in SETTINGS:
        runs = {
            dataset: laboratory.finished(CrossValidated(method), dataset, plan.seeds[:1])
            for dataset in plan.datasets
        }
        found = {dataset: _means(of[0]) for dataset, of in runs.items() if of}
        if found:
            rows.append({"setting": method.name, "datasets": found})
    return {"datasets": list(plan.datasets), "seed": plan.seeds[0], "rows": rows}


def _means(figures: Figures) -> Document:
    new = np.array(figures.new)
    return {
        "new": round(float(figures.ndcg[:, new].mean()), 4),
        "queries_new": int(new.sum()),
        "seen": None if new.all() else round(float(figures.ndcg[:, ~new].mean()), 4),
        "queries_seen": int((~new).sum()),
        "sizes_new": [round(float(value), 4) for value in figures.ndcg[:, new].mean(axis=1)],
    }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not document["rows"]:
        return []
    whole = document["rows"][0]["datasets"]
    queries = ", ".join(f"{name} {of['queries_new']}" for name, of in whole.items())
    return [
        "## How the settings of `default` were chosen",
        "",
        "nDCG@10 times 100, mean over the sizes, on train queries that the folds of a training hold out by",
        "document; in brackets the difference to `default`; *seen* are those on seen documents. Without the",
        f"gate, one seed. Held-out queries on new documents: {queries}.",
        "",
        *table(
            ["setting", *document["datasets"]],
            [
                [row["setting"], *(_shown(row["datasets"], whole, name) for name in document["datasets"])]
                for row in document["rows"]
            ],
        ),
        "",
    ]


def _shown(found: Document, whole: Document, dataset: str) -> str:
    if dataset not in found:
        return ""
    of = found[dataset]
    text = points(of["new"])
    if found is not whole and dataset in whole:
        text += f" ({signed(of['new'] - whole[dataset]['new'])})"
    return text if of["seen"] is None else f"{text}, seen {points(of['seen'])}"
