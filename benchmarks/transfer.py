"""Transfer: trained on one dataset's embeddings, used on another's of the same encoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, seed_count, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, PCA
from benchmarks.plan import Plan
from smec import train, verify
from smec.config import build_config

NAME = "transfer"

Document = dict[str, Any]

PAIRS = (("scifact-mpnet@0", "cranfield-mpnet@0"), ("cranfield-mpnet@0", "scifact-mpnet@0"))
"""First folds, whose test queries ask for documents that are new at home too."""
METHODS = {"smec default": DEFAULT, "smec default, no labels": DEFAULT_UNSUPERVISED, "pca": PCA}


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for source, target in PAIRS:
            for method in METHODS.values():
                if method.learned or seed == 0:
                    yield Cell(method, source, seed, target=target)
                    yield Cell(method, target, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """NDCG@10 on the target of what was trained there and elsewhere, and what `verify` says."""
    pairs = []
    for source, target in PAIRS:
        rows = []
        for name, method in METHODS.items():
            for home in (target, source):
                scored = None if home == target else target
                runs = laboratory.finished(method, home, plan.seeds, target=scored)
                if runs:
                    ndcg = [round(float(v), 4) for v in mean_over_seeds(runs).mean(axis=1)]
                    seeds = len(runs) if method.learned else None
                    rows.append({"method": name, "trained_on": home, "seeds": seeds, "ndcg": ndcg})
        said = _said(laboratory, source, target) if any(row["seeds"] for row in rows) else []
        pairs.append({"source": source, "target": target, "rows": rows, "verify": said})
    return {"pairs": pairs}


def _said(laboratory: Laboratory, source: str, target: str) -> list[str]:
    """What `smec.verify` says of the target's corpus to a user of the source's artefact."""
    # The checks look at stored rows and at the corpus' mean, which no training changes.
    config = build_config(supervised=False, optimiser={"steps": 1})
    compressor = train(laboratory.dataset(source), config=config)
    checks = verify(compressor, laboratory.dataset(target).corpus)
    return [f"{check.name}: {'ok' if check.passed else 'FAILED'}: {check.detail}" for check in checks]


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not any(row["seeds"] for pair in document["pairs"] for row in pair["rows"]):
        return []
    lines = [
        "## Transfer",
        "",
        "Trained on one corpus, used on another whose embeddings come from the same model. The test queries",
        "ask for new documents: `@0` is the first fold of a dataset that is split again by document.",
        "",
    ]
    for pair in document["pairs"]:
        rows = [
            [row["method"], row["trained_on"], *map(points, row["ndcg"]), seed_count(row["seeds"])]
            for row in pair["rows"]
        ]
        head = ["method", "trained on", "D/2", "D/4", "D/8", "D/16", "D/32", "seeds"]
        lines += [f"### Used on {pair['target']}", "", *table(head, rows), ""]
        lines += [f"`smec verify` of an artefact of {pair['source']} on this corpus says:", ""]
        lines += ["```", *pair["verify"], "```", ""]
    return lines
