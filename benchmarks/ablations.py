"""Ablations: every ingredient of ``default`` and of ``paper`` taken out or replaced, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.markdown import points, signed, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, NO_GATE, PAPER, Method, smec
from benchmarks.plan import Plan
from benchmarks.query_sets import QuerySet, new_sets, runs
from smec.config import overlay
from smec.presets import CANDIDATES

NAME = "ablations"

Document = dict[str, Any]
Scores = NDArray[np.float64]

_SMRL: dict[str, Any] = {"candidates": (), "schedule": "sequential", "optimiser": {"growth": 0.0}}
_PAPER_MRL: dict[str, Any] = {"schedule": "joint", "layers": "nested", "selection": "prefix"}

_SXBM: dict[str, Any] = {
    "distillation": {"weight": 0.0},
    "memory": {"loss": "listwise", "size": 4096, "neighbours": 32},
}


def _unlabelled(name: str, **changes: Any) -> Method:
    return smec(name, supervised=False, **changes)


FAMILIES: dict[str, tuple[Method, tuple[Method, ...]]] = {
    "default, with labels": (
        DEFAULT,
        (
            *(smec(f"candidate {name!r} alone", candidates=(name,)) for name in CANDIDATES),
            smec("no distillation", distillation={"weight": 0.0}),
            smec("distillation of queries alone", distillation={"anchors": 0}),
            smec("no hard negatives", optimiser={"hard_negatives": 0}),
            smec("residual in principal coordinates", coordinates="principal"),
            smec("identity start", start="identity"),
            smec("PCA start, not tempered", tempering=0.0),
            smec("pairwise rank loss", rank={"loss": "pairwise", "temperature": 0.2}),
            smec("no averaging of steps", optimiser={"averaging": 0.0}),
            smec("one training, no folds", validation={"folds": 1}),
            smec("held out by query", corpus="fixed"),
            smec("with memory (S-XBM)", memory={"loss": "listwise", "weight": 1.0}),
            smec("SMRL, nested, five stages", **_SMRL),
            smec("SMRL, fresh heads, five stages", layers="fresh", **_SMRL),
            smec("SMRL, nested, with ADS", selection="ads", **_SMRL),
        ),
    ),
    "default, without labels": (
        DEFAULT_UNSUPERVISED,
        (
            _unlabelled("teacher not tempered", distillation={"tempering": 0.0}),
            _unlabelled("no documents taught", distillation={"anchors": 0}),
            _unlabelled("identity start", start="identity"),
            _unlabelled("PCA start, not tempered", tempering=0.0),
            _unlabelled("S-XBM in place of distillation", **_SXBM),
            _unlabelled("S-XBM of random entries", **overlay(_SXBM, {"memory": {"sampling": "random"}})),
            _unlabelled("S-XBM of absolute differences", **overlay(_SXBM, {"memory": {"loss": "absolute"}})),
            _unlabelled("S-XBM with SMRL", schedule="sequential", **_SXBM),
        ),
    ),
    "paper, with labels": (
        PAPER,
        (
            smec("joint (MRL) in place of SMRL and ADS", "paper", **_PAPER_MRL),
            smec("nested in place of fresh layers", "paper", layers="nested"),
            smec("prefix in place of ADS", "paper", selection="prefix"),
            smec("PCA start", "paper", start="pca"),
            smec("InfoNCE", "paper", rank={"loss": "infonce"}),
            smec("no memory", "paper", memory={"loss": "none"}),
            smec("random entries", "paper", memory={"sampling": "random"}),
            smec("random negatives in the batch", "paper", optimiser={"negatives": 512}),
        ),
    ),
}
"""Title -> the preset as it is, and its variants."""


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for whole, variants in FAMILIES.values():
            for dataset in plan.new:
                for method in (whole, *variants):
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Mean nDCG@10 over sizes per dataset, and the difference to the preset, seed by seed."""
    families = []
    sets = new_sets(laboratory, plan)
    for title, (whole, variants) in FAMILIES.items():
        base = _by_dataset(laboratory, whole, sets, plan)
        rows = [
            _row(method, _by_dataset(laboratory, method, sets, plan), base) for method in (whole, *variants)
        ]
        found = [row for row in rows if row is not None]
        if found:
            families.append({"title": title, "rows": found})
    return {"datasets": [queries.title for queries in sets], "families": families}


def _by_dataset(laboratory: Laboratory, method: Method, sets: list[QuerySet], plan: Plan) -> list[Scores]:
    """For each dataset, mean over sizes and queries by seed; the gate would hide a loss behind PCA."""
    ungated = method.as_variant(NO_GATE, method.name)
    return [
        np.array([run.ndcg.mean() for run in runs(laboratory, ungated, queries, plan.seeds)])
        for queries in sets
    ]


def _row(method: Method, scores: list[Scores], base: list[Scores]) -> Document | None:
    """Gains of the seeds that both have; a dataset that was not run is left out of the average."""
    pairs = [(of[: len(whole)], whole[: len(of)]) for of, whole in zip(scores, base, strict=True)]
    gains = [of - whole for of, whole in pairs]
    found = [of for of in gains if len(of)]
    if not found:
        return None
    seeds = min(map(len, found))
    by_seed = np.mean([of[:seeds] for of in found], axis=0)
    return {
        "variant": method.name,
        "seeds": seeds,
        "ndcg": [_mean(of) for of, _ in pairs],
        "gain": [_mean(of) for of in gains],
        "mean_gain": round(float(by_seed.mean()), 4),
        "spread": round(float(by_seed.std(ddof=1)), 4) if seeds > 1 else None,
    }


def _mean(values: Scores) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not document["families"]:
        return []
    lines = [
        "## Ablations",
        "",
        "Mean of nDCG@10 times 100 over the sizes on new documents, without the gate; behind it the",
        "difference to the whole preset; `@0` is the first fold of a dataset that is split again. *average*",
        "is that difference over the datasets that were run, ± its standard deviation over seeds.",
        "",
    ]
    for family in document["families"]:
        head = ["variant", *document["datasets"], "average", "seeds"]
        rows = [
            [
                row["variant"],
                *[
                    "" if value is None else f"{points(value)} ({signed(gain)})"
                    for value, gain in zip(row["ndcg"], row["gain"], strict=True)
                ],
                signed(row["mean_gain"])
                + (f" ±{points(row['spread'])}" if row["spread"] is not None else ""),
                str(row["seeds"]),
            ]
            for row in family["rows"]
        ]
        lines += [f"### {family['title']}", "", *table(head, rows), ""]
    return lines
