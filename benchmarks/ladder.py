"""How many judgements are enough: the ladder of docs/judgements.md, from the finished cells of `scarcity`.

``python -m benchmarks.ladder --data DATA`` runs nothing. It looks for the cells that ``python -m benchmarks
--only scarcity`` keeps, and writes what there is; what was not run is called so.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scarcity
from benchmarks.__main__ import MADE, RESULTS, ROOT
from benchmarks.cells import Laboratory
from benchmarks.markdown import points, signed, table, write_between
from benchmarks.plan import WHOLE, Plan

PAGE = ROOT / "docs" / "judgements.md"
MARKER = "ladder"
OURS = "smec default"
STEPS = (0, *scarcity.LABELS)
NOT_RUN = "not run"
TOO_FEW = "-"

Document = dict[str, Any]


def lines(document: Document, plan: Plan) -> list[str]:
    """The ladder: a row of smec and one of the best other method for each dataset.

    Parameters
    ----------
    document : dict
        What `benchmarks.scarcity.summarise` made of the finished cells.
    plan : Plan
        Its ``new`` datasets; those without any finished cell have a row that says so.
    """
    parts = {part["dataset"]: part for part in document["datasets"]}
    head = [
        "test queries for new documents",
        "PCA",
        *("all" if step is None else str(step) for step in STEPS),
    ]
    rows = [row for name in plan.new for row in _rows(name, parts.get(name))]
    return [*table(head, rows), "", _seeds(document)]


def _rows(name: str, part: Document | None) -> Iterator[list[str]]:
    if part is None:
        yield [f"{name}: smec", NOT_RUN, *[NOT_RUN] * len(STEPS)]
        return
    pca = points(float(np.mean(part["pca"])))
    yield [f"{name} ({part['queries']}): smec", pca, *(_ours(part, step) for step in STEPS)]
    yield ["the best other method", "", *(_best_other(part, step) for step in STEPS)]


def _ours(part: Document, step: int | None) -> str:
    found = [row for row in _at(part, step) if row["method"] == OURS]
    return signed(found[0]["over_pca"]["gap"]) if found else _missing(part, step)


def _best_other(part: Document, step: int | None) -> str:
    if step == 0:
        return ""
    others = [row for row in _at(part, step) if row["method"] != OURS]
    if not others:
        return _missing(part, step)
    best = max(others, key=lambda row: float(row["over_pca"]["gap"]))
    return f"{signed(best['over_pca']['gap'])} {best['method']}"


def _at(part: Document, step: int | None) -> list[Document]:
    return [row for row in part["rows"] if row["labels"] == step]


def _missing(part: Document, step: int | None) -> str:
    return TOO_FEW if step is not None and step >= part["labels"] else NOT_RUN


def _seeds(document: Document) -> str:
    seeds = sorted({row["seeds"] for part in document["datasets"] for row in part["rows"]})
    if not seeds:
        return "No cell of this table has been run yet with these settings."
    said = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    counted = f"{said} seed{'' if seeds == [1] else 's'}"
    return f"Mean over {counted}. *{NOT_RUN}*: no finished cell with these settings."


def main(words: Sequence[str] | None = None) -> None:
    """Write the ladder of the finished cells."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="reference datasets"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(WHOLE.seeds))
    given = parser.parse_args(words)
    plan = replace(WHOLE, seeds=tuple(given.seeds))
    laboratory = Laboratory(given.data, MADE, RESULTS / "cells")
    write_between(PAGE, MARKER, lines(scarcity.summarise(laboratory, plan), plan))


if __name__ == "__main__":
    main()
