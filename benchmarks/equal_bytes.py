"""Equal bytes: smec with the size and code that held-out queries choose, beside rivals at their best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Figures, Laboratory, full_size
from benchmarks.coded_methods import BUDGETS, POST_HOC, RIVALS, CodedRival, CodedSmec, aware
from benchmarks.markdown import points, signed, table
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from smec.codecs import code_bytes
from smec.evaluation import bootstrap_interval, paired_p_value

NAME = "equal_bytes"

Document = dict[str, Any]
Scores = NDArray[np.float64]

WIDTHS = {"scifact-mpnet": 768, "cranfield-mpnet": 768, "medquad-minilm": 384, "grocery-effnet": 1280}
"""D of the reference datasets."""

SMALL = 32
"""Bytes within which training for a code is held against coding afterwards."""


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.datasets:
            for method in (POST_HOC, *aware(WIDTHS[dataset]).values()):
                yield Cell(method, dataset, seed)
            for rival in RIVALS:
                yield Cell(rival, dataset)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Per dataset: nDCG@10 at every budget, and what training for the code gains."""
    parts = [_dataset(laboratory, dataset, plan.seeds) for dataset in plan.datasets]
    return {"budgets": list(BUDGETS), "datasets": [part for part in parts if part is not None]}


def _dataset(laboratory: Laboratory, dataset: str, seeds: Sequence[int]) -> Document | None:
    methods: tuple[CodedSmec | CodedRival, ...] = (POST_HOC, *aware(WIDTHS[dataset]).values(), *RIVALS)
    runs = {method: laboratory.finished(method, dataset, seeds) for method in methods}
    if not all(runs.values()):
        return None
    ours = [method for method in methods if isinstance(method, CodedSmec)]
    complete = min(len(runs[method]) for method in ours)
    rivals = {rival.name: runs[rival][0] for rival in RIVALS}
    budgets = [_budget(budget, [runs[method][:complete] for method in ours], rivals) for budget in BUDGETS]
    return {
        "dataset": dataset,
        "seeds": complete,
        "full": round(float(full_size(laboratory.dataset(dataset)).mean()), 4),
        "budgets": budgets,
        "training_for_a_code": list(_awareness(runs, aware(WIDTHS[dataset]), complete)),
    }


def _budget(budget: int, trainings: list[list[Figures]], rivals: dict[str, Figures]) -> Document:
    chosen = [_chosen(list(of_seed), budget) for of_seed in zip(*trainings, strict=True)]
    values = np.mean([scores for scores, _ in chosen], axis=0)
    best = {name: scores for name, of in rivals.items() if (scores := _best(of, budget)) is not None}
    against = max(best, key=lambda name: float(best[name].mean()))
    return {
        "bytes": budget,
        "smec": round(float(values.mean()), 4),
        "ci": [round(bound, 4) for bound in bootstrap_interval(values)],
        "chosen": [choice for _, choice in chosen],
        "rivals": {name: round(float(scores.mean()), 4) for name, scores in best.items()},
        "best_rival": against,
        "p": round(paired_p_value(values, best[against]), 4),
    }


def _chosen(trainings: list[Figures], budget: int) -> tuple[Scores, str]:
    """Test scores of what scores best on the held-out queries of the trainings, and what that is."""
    fitting = [
        (run.held_out[place], -_bytes(run, place), run, place)
        for run in trainings
        for place in range(len(run.dims))
        if _bytes(run, place) <= budget
    ]
    _, _, run, place = max(fitting, key=lambda one: one[:2])
    aware = "" if run is trainings[0] else ", trained for it"
    return run.ndcg[place], f"{run.dims[place]} as {run.codecs[place]}{aware}"


def _best(run: Figures, budget: int) -> Scores | None:
    """The rival's best on the test split in as many bytes or fewer: more than it could know."""
    fitting = [run.ndcg[place] for place in range(len(run.dims)) if _bytes(run, place) <= budget]
    return max(fitting, key=lambda scores: float(scores.mean())) if fitting else None


def _bytes(run: Figures, place: int) -> int:
    return code_bytes(run.codecs[place], run.dims[place])


def _awareness(
    runs: dict[CodedSmec | CodedRival, list[Figures]], methods: dict[str, CodedSmec], seeds: int
) -> Iterator[Document]:
    for codec, method in methods.items():
        afterwards, trained = runs[POST_HOC][:seeds], runs[method][:seeds]
        for place, dim in enumerate(trained[0].dims):
            size = _bytes(trained[0], place)
            if size <= SMALL:
                before, after = _mean(afterwards, dim, codec), _mean(trained, dim, codec)
                yield {
                    "codec": codec,
                    "dim": dim,
                    "bytes": size,
                    "afterwards": round(float(before.mean()), 4),
                    "aware": round(float(after.mean()), 4),
                    "p": round(paired_p_value(after, before), 4),
                }


def _mean(runs: list[Figures], dim: int, codec: str) -> Scores:
    places = [list(zip(run.dims, run.codecs, strict=True)).index((dim, codec)) for run in runs]
    mean: Scores = np.mean([run.ndcg[place] for run, place in zip(runs, places, strict=True)], axis=0)
    return mean


def section(document: Document) -> list[str]:
    """Lines of the page."""
    lines = [
        "## Equal bytes",
        "",
        "nDCG@10 with so many bytes per vector, one search, no rescoring; documents are coded, queries are",
        "floats. `smec` is, at each budget, the size and code that scored best on held-out train queries, of",
        "an ordinary training coded afterwards and of trainings for the codes below. A rival has its",
        "best on the test queries in as many bytes or fewer, which it could not know. OPQ codes the full",
        "vectors; PCA gives as many dims as fit, of which int8 keeps a byte, binary a bit, and RaBitQ a bit",
        "and eight bytes beside. OPQ has at most 128 parts, also where the budget is larger.",
        "",
    ]
    for part in document["datasets"]:
        names = list(part["budgets"][-1]["rivals"])
        head = ["bytes", "smec [95 % CI]", *names, "p against the best", "chosen"]
        rows = [
            [
                str(row["bytes"]),
                f"**{points(row['smec'])}** [{points(row['ci'][0])}, {points(row['ci'][1])}]",
                *[points(row["rivals"][name]) if name in row["rivals"] else "" for name in names],
                f"{row['p']:.3f} {row['best_rival']}",
                "; ".join(dict.fromkeys(row["chosen"])),
            ]
            for row in part["budgets"]
        ]
        lines += [
            f"### {part['dataset']} at equal bytes: full size {points(part['full'])}, seeds: {part['seeds']}",
            "",
            f"![nDCG@10 at equal bytes on {part['dataset']}](benchmarks/bytes-{part['dataset']}.svg)",
            "",
            *table(head, rows),
            "",
        ]
    return [*lines, *_awareness_lines(document)]


def _awareness_lines(document: Document) -> list[str]:
    rows = [
        [
            part["dataset"],
            row["codec"],
            str(row["dim"]),
            str(row["bytes"]),
            points(row["afterwards"]),
            points(row["aware"]),
            signed(row["aware"] - row["afterwards"]),
            f"{row['p']:.3f}",
        ]
        for part in document["datasets"]
        for row in part["training_for_a_code"]
    ]
    return [
        "### Training for the code against coding afterwards",
        "",
        f"Codes of at most {SMALL} bytes. Either column ships what its own gate decided.",
        "",
        *table(["dataset", "code", "dims", "bytes", "afterwards", "trained for it", "gain", "p"], rows),
        "",
    ]


def draw(document: Document, folder: Path) -> None:
    """One plot per dataset."""
    for part in document["datasets"]:
        names = list(part["budgets"][-1]["rivals"])
        lines = {"smec": [(row["bytes"], row["smec"]) for row in part["budgets"]]}
        for name in names:
            lines[name] = [
                (row["bytes"], row["rivals"][name]) for row in part["budgets"] if name in row["rivals"]
            ]
        draw_lines(
            lines,
            folder / f"bytes-{part['dataset']}.svg",
            "bytes per vector",
            "nDCG@10",
            level=(part["full"], "full vectors"),
            ticks=document["budgets"],
        )
