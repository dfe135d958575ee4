"""The short tables of the README, from the JSON of the main table and of equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.main_table import not_run
from benchmarks.markdown import points, table
from smec.atomic import replacing

Document = dict[str, Any]

BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
HEAD = ["", "D", "D/2", "D/4", "D/8", "D/16", "D/32"]

ROWS = {
    "smec, labels": (True, "smec default"),
    "smec, no labels": (False, "smec default"),
    "PCA": (False, "pca"),
}
"""What a row is called -> with labels or without, and the method."""

REMEMBERED = {
    "smec, labels": (True, "smec default"),
    "smec, labels, feedback": (True, "smec default + feedback"),
    "PCA, feedback": (True, "pca-feedback"),
    "PCA": (False, "pca"),
}


def write_readme(main: Document, equal_bytes: Document | None, readme: Path) -> None:
    """Replace what is between the markers."""
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    coded = bytes_lines(equal_bytes) if equal_bytes is not None else []
    with replacing(readme, force=True) as part:
        part.write_text("\n".join([before + BEGIN, *lines(main), *coded, END + after]), encoding="utf-8")


def lines(document: Document) -> list[str]:
    """New documents first, a table per dataset; then memory, the gains on documents judged in training."""
    found = [
        *not_run(document),
        "**New documents**: no relevant document of a test query was judged in training",
        "",
    ]
    found += _tables(document, "new", ROWS)
    remembered = _tables(document, "seen", REMEMBERED)
    if remembered:
        found += [
            "**Memory**: all relevant documents of a test query were judged in training",
            "",
            *remembered,
        ]
    return found


def _tables(document: Document, kind: str, named: dict[str, tuple[bool, str]]) -> list[str]:
    parts = [part for part in document["tables"] if part["kind"] == kind]
    found: list[str] = []
    for dataset in dict.fromkeys(part["dataset"] for part in parts):
        sides = {part["supervised"]: part for part in parts if part["dataset"] == dataset}
        found += _table(dataset, sides, named)
    return found


def _table(dataset: str, sides: dict[bool, Document], named: dict[str, tuple[bool, str]]) -> list[str]:
    """Rows of the methods that were run, and the best rival of each size with labels or without."""
    rows = []
    seeds: list[int] = []
    for name, (supervised, method) in named.items():
        row = _row(sides.get(supervised), method)
        if row is not None:
            full = points(next(iter(sides.values()))["full"]) if name == "PCA" else ""
            rows.append([name, full, *map(points, row["ndcg"])])
            seeds += [row["seeds"]] if row["seeds"] else []
    best = sides[True]["best_rivals"] if True in sides else []
    if best:
        rows.append(["best rival", "", *(f"{points(of['ndcg'])} {of['method']}" for of in best)])
    part = next(iter(sides.values()))
    low, high = (min(seeds), max(seeds)) if seeds else (0, 0)
    said = f"; seeds: {low if low == high else f'{low} to {high}'}" if seeds else ""
    title = f"{dataset}, D = {2 * part['dims'][0]}, {part['queries']} test queries{said}"
    return [title, "", *table(HEAD, rows), ""]


def bytes_lines(document: Document) -> list[str]:
    """Smec and the best rival's code at every budget of bytes, on new documents."""
    rows = []
    for part in document["datasets"]:
        if part["kind"] != "new":
            continue
        budgets = part["budgets"]
        rows.append([f"{part['dataset']}: smec", points(part["full"]), *(points(b["smec"]) for b in budgets)])
        best = [f"{points(b['rivals'][b['best_rival']])} {b['best_rival']}" for b in budgets]
        rows.append(["best rival", "", *best])
    head = ["bytes per vector", "full", *map(str, document["budgets"])]
    return ["**At equal bytes**, with labels, on new documents", "", *table(head, rows), ""] if rows else []


def _row(part: Document | None, method: str) -> Document | None:
    rows: list[Document] = part["methods"] if part is not None else []
    return next((row for row in rows if row["method"] == method), None)
