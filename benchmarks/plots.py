"""Plots for the page: readable without colour, in print and on a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

Document = dict[str, Any]

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito's, told apart by the colour-blind."""

MARKERS = "osv^Dpx+*<>h"


def draw_tables(tables: list[Document], folder: Path) -> None:
    """One SVG per table: nDCG@10 against dims, a line per method."""
    folder.mkdir(parents=True, exist_ok=True)
    # Fixed ids and no date: the same figures give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "smec", "font.size": 10, "svg.fonttype": "none"}):
        for table in tables:
            side = "labels" if table["supervised"] else "no-labels"
            _draw(table, folder / f"{table['dataset']}-{side}.svg")


def _draw(table: Document, file: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, row in enumerate(table["methods"]):
        axes.plot(
            table["dims"],
            [100 * value for value in row["ndcg"]],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            linestyle="-" if number == 0 else ("--", ":", "-.")[number % 3],
            linewidth=2.5 if number == 0 else 1.2,
            label=row["method"],
        )
    axes.axhline(100 * table["full"], color="#777777", linewidth=1)
    axes.annotate(
        "full vectors",
        (table["dims"][0], 100 * table["full"]),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color="#555555",
        ha="right",
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(table["dims"], [str(dim) for dim in table["dims"]])
    axes.minorticks_off()
    axes.set_xlabel("dims")
    axes.set_ylabel("nDCG@10, times 100")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
