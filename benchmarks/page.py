"""``docs/benchmarks.md`` and its plots, from the JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.plots import draw_tables
from smec.atomic import replacing

Document = dict[str, Any]

INTRODUCTION = """# Benchmarks

<!-- Made by `python -m benchmarks` from benchmarks/results; a test compares them. -->

nDCG@10 times 100 on test splits that nothing was fitted, tuned or stopped on. Every method sees the
same vectors, the same train queries and the same held-out share of them for early stopping; none but
smec has a gate (*gate: 100 %* says that all seeds shipped PCA or truncation there). A figure is the mean
over seeds; ± is the standard deviation over them. The line below is the 95 % bootstrap interval over the
queries. **Bold** is the best of a size. `*` marks what differs from `smec default` at p < .05 (paired
permutation test over the queries, not corrected for the number of comparisons). *fit* and *encode* are
seconds of one machine, some of them under load: compare them roughly. PCA is fitted on the corpus of the
dataset, on unit-length rows, uncentred (as cosine sees them); `pca-centred` is the textbook's.
"""


def write_page(results: Path, docs: Path) -> None:
    """Write the page and the plots beside it."""
    document = json.loads((results / "main.json").read_text(encoding="utf-8"))
    draw_tables(document["tables"], docs / "benchmarks")
    with replacing(docs / "benchmarks.md", force=True) as part:
        part.write_text(page(document), encoding="utf-8")


def page(document: Document) -> str:
    """The page as Markdown."""
    seeds = ", ".join(map(str, document["seeds"]))
    versions = ", ".join(f"{name} {version}" for name, version in document["libraries"].items())
    lines = [INTRODUCTION, f"Seeds {seeds}; {document['machine']}; {versions}.", ""]
    for table in document["tables"]:
        lines += _table(table)
    return "\n".join(lines).rstrip() + "\n"


def name_of(table: Document) -> str:
    """What a table is called on the page and in file names."""
    return f"{table['dataset']}-{'labels' if table['supervised'] else 'no-labels'}"


def _table(table: Document) -> list[str]:
    title = f"{table['dataset']}, {'with labels' if table['supervised'] else 'without labels'}"
    full, (low, high) = table["full"], table["full_ci"]
    best = [max(row["ndcg"][place] for row in table["methods"]) for place in range(len(table["dims"]))]
    return [
        f"## {title}",
        "",
        f"{table['queries']} test queries; the full vectors score {100 * full:.1f} "
        f"({100 * low:.1f} to {100 * high:.1f}).",
        "",
        f"![nDCG@10 against dims, {title}](benchmarks/{name_of(table)}.svg)",
        "",
        "| method | " + " | ".join(map(str, table["dims"])) + " | fit | encode |",
        "|---|" + "---|" * len(table["dims"]) + "---|---|",
        *[_line(row, best) for row in table["methods"]],
        "",
    ]


def _line(row: Document, best: list[float]) -> str:
    figures = " | ".join(_figure(row, place, best[place]) for place in range(len(best)))
    return f"| {row['method']} | {figures} | {row['fit_seconds']:.0f} | {row['encode_seconds']:.2f} |"


def _figure(row: Document, place: int, best: float) -> str:
    value = row["ndcg"][place]
    figure = f"**{100 * value:.1f}**" if value == best else f"{100 * value:.1f}"
    if row["spread"] is not None:
        figure += f" ±{100 * row['spread'][place]:.1f}"
    if row.get("p_against_default", [1.0] * (place + 1))[place] < 0.05:
        figure += " *"
    if row["fallbacks"][place] > 0:
        figure += f" (gate: {100 * row['fallbacks'][place]:.0f} %)"
    low, high = row["ci"][place]
    return f"{figure}<br>{100 * low:.1f} to {100 * high:.1f}"
