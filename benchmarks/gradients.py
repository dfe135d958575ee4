"""Size and variance of gradients over the epochs, SMRL against MRL; below is what the page says of it.

The paper argues that MRL's losses push shared weights unevenly, and charts a gradient variance about three
times lower for SMRL. The same charts on these vectors: a linear layer at identity start, Adam at 1e-3, up to
128 queries a step with their documents and 512 random ones; of the layer the columns that make the first D/4
dimensions, in two halves, [0:D/8] and [D/8:D/4]. *MRL* sums the losses at D/2, D/4 and D/8, *weighted* in
proportion to the size. *SMRL* is the stage that adds D/4, with the losses at D/2 and D/4, on what the
trained and frozen stage for D/2 left; *next stage* adds D/8 after it; *same start* sums the same two losses
where MRL starts. All layers take D dimensions, so that their blocks have as many weights.

*Spread* is the variance of the gradient over the block's weights, as in the paper; *noise* the share of a
mini-batch's squared gradient that is variance between mini-batches (1: nothing else); *moved* how far Adam
takes the weights in an epoch. *Rule*: if a loss at size d pushes in proportion to 1/d, and all losses push
the same way, then all of it is bookkeeping of which losses reach which weights. Why 1/d: the length of a
prefix goes with the root of d, the slope of a cosine with its inverse square. *Later* is the geometric mean
over all epochs but the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.cells import Laboratory
from benchmarks.gradient_trainings import (
    FIRST,
    LOSSES,
    MRL,
    SAME_START,
    SMRL,
    TRAININGS,
    WEIGHTED,
    figures,
    rule,
)
from benchmarks.markdown import table
from benchmarks.plan import Plan

NAME = "gradients"

Document = dict[str, Any]

SEEDS = 2
"""That are run, as each leaves some thousand figures."""
DRAWN = {
    MRL: ("#D55E00", "o"),
    WEIGHTED: ("#E69F00", "D"),
    SAME_START: ("#56B4E9", "s"),
    SMRL: ("#0072B2", "^"),
}
START, LATER = slice(0, 1), slice(1, None)


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """`figures` of every dataset and the first `SEEDS` of the seeds."""
    seeds = plan.seeds[:SEEDS]
    return {"runs": [figures(laboratory.dataset(name), seed) for name in plan.datasets for seed in seeds]}


def section(document: Document) -> list[str]:
    """Lines of the page."""
    lines = ["## Gradients: SMRL against MRL", "", *(__doc__ or "").rstrip().splitlines()[2:], ""]
    lines += [*_findings(document), ""]
    lines += [f"Seeds {', '.join(map(str, dict.fromkeys(run['seed'] for run in document['runs'])))}.", ""]
    for dataset, runs in by_dataset(document).items():
        head = [f"{dataset}: {' / '.join(LOSSES)}", "halves: rule", "start", "later", "moved"]
        head += ["MRL's spread by its: rule", "start", "later", "noise: start", "later"]
        lines += [
            f"![Gradients over the epochs, {dataset}](benchmarks/gradients-{dataset}.svg)",
            "",
            *table(head, [_row(runs, name) for name in TRAININGS if name != FIRST]),
            "",
        ]
    return lines


def _row(runs: list[Document], name: str) -> list[str]:
    def cell(one: str, other: str | None, epochs: slice) -> str:
        values = [_ratio(runs, loss, one, other, epochs) for loss in LOSSES]
        return " / ".join(map(_short, values))

    return [
        *(name, f"{rule(name)[0]:.2f}"),
        *(cell(f"{name}:first", f"{name}:second", epochs) for epochs in (START, LATER)),
        *(cell(f"{name}:moved_first", f"{name}:moved_second", LATER), f"{rule(name)[1]:.2f}"),
        *(cell("MRL:spread", f"{name}:spread", epochs) for epochs in (START, LATER)),
        *(cell(f"{name}:noise", None, epochs) for epochs in (START, LATER)),
    ]


def _findings(document: Document) -> list[str]:
    cases = [(runs, loss) for runs in by_dataset(document).values() for loss in LOSSES]

    def ratios(one: str, other: str, epochs: slice = LATER) -> list[float]:
        return [_ratio(runs, loss, one, other, epochs) for runs, loss in cases]

    says = rule(SAME_START)[1]
    start, later = (ratios("MRL:spread", f"{SAME_START}:spread", epochs) for epochs in (START, LATER))
    near = [sum(abs(ratio / says - 1) <= 0.25 for ratio in values) for values in (start, later)]
    counted = ratios("MRL:spread", "MRL:stage_spread")
    shares = [100 * math.log(part) / math.log(whole) for part, whole in zip(counted, later, strict=True)]
    own = ratios("MRL:spread", "SMRL:spread", START)
    moved, moved_same = (ratios(f"{n}:moved_first", f"{n}:moved_second") for n in (MRL, SAME_START))
    noise = ratios("MRL:noise", f"{SAME_START}:noise")
    return [
        f"- From the same start MRL's spread is {_span(start)} times SMRL's at the start, and later",
        f"  {_span(later)} times. The rule says {says:.2f}: of {len(cases)} cases (datasets, losses)",
        f"  {near[0]} are within 25 % of it at the start and {near[1]} later.",
        f"- Leaving the loss at D/8 out makes the spread at MRL's own weights {_span(counted)} times smaller",
        f"  later. On a log scale this bookkeeping is {_span(shares)} % of what MRL and SMRL from",
        "  the same start differ by.",
        f"- SMRL's own stage starts with a spread {_span(own)} times smaller than MRL's, as",
        "  the stage before has left little to learn of these queries. That is no property of the sum.",
        f"- What Adam leaves of it: in an epoch the first half moves {_span(moved)} times as far as the",
        f"  second under MRL, and {_span(moved_same)} times under SMRL from the same start.",
        f"- The noise of mini-batches under MRL is {_span(noise)} times that under SMRL from the same start.",
    ]


def _span(values: Sequence[float]) -> str:
    return f"{_short(min(values))} to {_short(max(values))}"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{float(f'{value:.2g}'):,.0f}"


def _ratio(runs: list[Document], loss: str, one: str, other: str | None, epochs: slice) -> float:
    """Geometric mean over seeds and epochs of one series, "training:figure", by another."""
    above, below = (_logs(runs, loss, series)[:, epochs] if series else 0.0 for series in (one, other))
    return float(np.exp(np.mean(above - below)))


def _logs(runs: list[Document], loss: str, series: str) -> Any:
    name, figure = series.split(":")
    return np.log([[record.get(figure, math.nan) for record in run["losses"][loss][name]] for run in runs])


def by_dataset(document: Document) -> dict[str, list[Document]]:
    """The runs of each dataset, one per seed."""
    names = dict.fromkeys(run["dataset"] for run in document["runs"])
    return {name: [run for run in document["runs"] if run["dataset"] == name] for name in names}


def draw(document: Document, folder: Path) -> None:
    """One SVG per dataset: size, spread and noise of the gradient over the epochs, mean of the seeds."""
    labels = ("mean |gradient|:\n[0:D/8] filled, [D/8:D/4] hollow", "spread over the weights", "noise")
    # Fixed ids and no date: the same figures give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "smec", "font.size": 9, "svg.fonttype": "none"}):
        for dataset, runs in by_dataset(document).items():
            figure, grid = plt.subplots(3, len(LOSSES), figsize=(9, 8), sharex=True, layout="constrained")
            for place, loss in enumerate(LOSSES):
                grid[0, place].set_title(loss)
                _draw(grid[:, place], runs, loss)
            for axes, label in zip(grid[:, 0], labels, strict=True):
                axes.set_ylabel(label)
            figure.supxlabel("epoch", fontsize=9)
            handles, names = grid[1, 0].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
            figure.savefig(folder / f"gradients-{dataset}.svg", metadata={"Date": None})
            plt.close(figure)


def _draw(column: Sequence[Axes], runs: list[Document], loss: str) -> None:
    for axes, keys in zip(column, (("first", "second"), ("spread",), ("noise",)), strict=True):
        # Weighted MRL lies between the others: its halves are in the table.
        for name, key in product(DRAWN if keys[0] != "first" else (MRL, SAME_START, SMRL), keys):
            colour, marker = DRAWN[name]
            values = np.exp(_logs(runs, loss, f"{name}:{key}").mean(axis=0))
            half: Document = (
                {"linestyle": ":", "markersize": 7, "fillstyle": "none"} if key == "second" else {}
            )
            style: Document = {
                "color": colour,
                "marker": marker,
                "markevery": 5,
                "markersize": 4,
                "label": name,
            }
            axes.plot(values, **(style | half))
        axes.set_yscale("linear" if keys == ("noise",) else "log")
        axes.spines[["top", "right"]].set_visible(False)
    column[-1].set_ylim(0, 1.25)
