"""Plots for the page: readable without colour, in print and on a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito's, told apart by the colour-blind."""

MARKERS = "osv^Dpx+*<>h"


def draw_lines(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    file: Path,
    across: str,
    up: str,
    *,
    level: tuple[float, str] | None = None,
    ticks: Sequence[int] | None = None,
    logarithmic: bool = False,
) -> None:
    """Draw an SVG with a line per name; the first one is ours and is the boldest.

    Parameters
    ----------
    lines : mapping
        Name -> points (x, y).
    file : Path
    across, up : str
        Labels of the axes.
    level : (float, str), optional
        A horizontal line and what it stands for.
    ticks : sequence of int, optional
        Of the horizontal axis, which is then logarithmic.
    logarithmic : bool
        The horizontal axis.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # Fixed ids and no date: the same figures give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "smec", "font.size": 10, "svg.fonttype": "none"}):
        figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
        for number, (name, points) in enumerate(lines.items()):
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                linestyle="-" if number == 0 else ("--", ":", "-.")[number % 3],
                linewidth=2.5 if number == 0 else 1.2,
                label=name,
            )
        if level is not None:
            _level(axes, *level)
        if ticks is not None or logarithmic:
            axes.set_xscale("log", base=2 if ticks is not None else 10)
        if ticks is not None:
            axes.set_xticks(list(ticks), list(map(str, ticks)))
            axes.minorticks_off()
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


def _level(axes: Axes, height: float, name: str) -> None:
    axes.axhline(height, color="#777777", linewidth=1)
    axes.annotate(
        name,
        (0.12, height),  # between the first two sizes, where fewest markers are
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color="#555555",
    )
