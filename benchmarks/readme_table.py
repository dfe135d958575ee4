"""The short tables of the README, from the JSON of the main table and of equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.markdown import points, table
from smec.atomic import replacing

Document = dict[str, Any]

BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
HEAD = ["", "D", "D/2", "D/4", "D/8", "D/16", "D/32"]


def write_readme(main: Document, equal_bytes: Document, readme: Path) -> None:
    """Replace what stands between the markers."""
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    with replacing(readme, force=True) as part:
        part.write_text(
            "\n".join([before + BEGIN, *lines(main), *bytes_lines(equal_bytes), END + after]),
            encoding="utf-8",
        )


def lines(document: Document) -> list[str]:
    """A table per dataset: smec with and without labels, PCA, and the best other rival of each size."""
    found = [f"Seeds: {', '.join(map(str, document['seeds']))}.", ""]
    datasets = list(dict.fromkeys(part["dataset"] for part in document["tables"]))
    for dataset in datasets:
        labelled, unlabelled = (
            next(p for p in document["tables"] if p["dataset"] == dataset and p["supervised"] == supervised)
            for supervised in (True, False)
        )
        everyone = labelled["methods"] + unlabelled["methods"]
        rivals = [row for row in everyone if not row["method"].startswith("smec")]
        full = points(labelled["full"])
        rows = [
            [name, full if name == "PCA" else "", *map(points, row["ndcg"])]
            for name, row in (
                ("smec, labels", _row(labelled, "smec default")),
                ("smec, no labels", _row(unlabelled, "smec default")),
                ("PCA", _row(unlabelled, "pca")),
            )
        ]
        best = [max(rivals, key=lambda row: row["ndcg"][place]) for place in range(len(labelled["dims"]))]
        cells = [f"{points(row['ndcg'][place])} {row['method']}" for place, row in enumerate(best)]
        rows.append(["best rival", "", *cells])
        dims = labelled["dims"]
        found += [f"**{dataset}**, D = {2 * dims[0]}", "", *table(HEAD, rows), ""]
    return found


def bytes_lines(document: Document) -> list[str]:
    """Smec and the best rival's code at every budget of bytes."""
    rows = []
    for part in document["datasets"]:
        budgets = part["budgets"]
        rows.append([f"{part['dataset']}: smec", points(part["full"]), *(points(b["smec"]) for b in budgets)])
        best = [f"{points(b['rivals'][b['best_rival']])} {b['best_rival']}" for b in budgets]
        rows.append(["best rival", "", *best])
    head = ["bytes per vector", "full", *map(str, document["budgets"])]
    return ["**At equal bytes**, with labels", "", *table(head, rows), ""]


def _row(part: Document, method: str) -> Document:
    row: Document = next(row for row in part["methods"] if row["method"] == method)
    return row
