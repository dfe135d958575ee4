"""Equal bytes: smec with the size and code that held-out queries choose, beside rivals at their best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.coded_methods import BUDGETS, POST_HOC, RIVALS, CodedRival, CodedSmec, aware
from benchmarks.figures import Figures, mean_over_seeds
from benchmarks.markdown import points, signed, table
from benchmarks.paired import gap, interval, p_differs
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from benchmarks.query_sets import KINDS, QuerySet, Run, full_scores, is_own, runs
from smec.codecs import code_bytes

NAME = "equal_bytes"

Document = dict[str, Any]
Scores = NDArray[np.float64]

WIDTHS = {
    "medquad-minilm": 384,
    "xquad-e5": 384,
    "scifact-mpnet": 768,
    "cranfield-mpnet": 768,
    "grocery-effnet": 1280,
}
"""Reference datasets that are coded -> D."""

SMALL = 32
"""Bytes within which training for a code is held against coding afterwards."""

AWARENESS_HEAD = (
    *("dataset", "queries", "code", "dims", "bytes"),
    *("afterwards", "trained for it", "gain", "p"),
)

Methods = dict[CodedSmec | CodedRival, list[Run]]


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset, width in WIDTHS.items():
            for method in (POST_HOC, *aware(width).values()):
                yield Cell(method, dataset, seed)
            for rival in RIVALS:
                if rival.learned or seed == plan.seeds[0]:
                    yield Cell(rival, dataset, seed if rival.learned else 0)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Per dataset and kind of queries: nDCG@10 at every budget, and what training for the code gains."""
    sets = [QuerySet(dataset, (dataset,), kind) for kind in KINDS for dataset in WIDTHS]
    parts = [_part(laboratory, queries, plan.seeds) for queries in sets if is_own(laboratory, queries)]
    return {"budgets": list(BUDGETS), "datasets": [part for part in parts if part is not None]}


def _part(laboratory: Laboratory, queries: QuerySet, seeds: Sequence[int]) -> Document | None:
    trainings = aware(WIDTHS[queries.title])
    methods: tuple[CodedSmec | CodedRival, ...] = (POST_HOC, *trainings.values(), *RIVALS)
    found: Methods = {method: runs(laboratory, method, queries, seeds) for method in methods}
    if not all(found.values()):
        return None
    ours = [found[method] for method in methods if isinstance(method, CodedSmec)]
    complete = min(map(len, ours))
    figures = [[run.folds[0] for run in of[:complete]] for of in ours]
    rivals = {rival.name: found[rival] for rival in RIVALS}
    afterwards = dict(zip(("", *trainings), figures, strict=True))
    return {
        "dataset": queries.title,
        "kind": queries.kind,
        "queries": found[POST_HOC][0].ndcg.shape[1],
        "seeds": complete,
        "full": round(float(full_scores(laboratory, queries).mean()), 4),
        "budgets": [_budget(budget, figures, rivals) for budget in BUDGETS],
        "training_for_a_code": list(_awareness(afterwards.pop(""), afterwards)),
    }


def _budget(budget: int, trainings: list[list[Figures]], rivals: dict[str, list[Run]]) -> Document:
    chosen = [_chosen(list(of_seed), budget) for of_seed in zip(*trainings, strict=True)]
    values = np.mean([scores for scores, _ in chosen], axis=0)
    best = {name: scores for name, of in rivals.items() if (scores := _best(of, budget)) is not None}
    against = max(best, key=lambda name: float(best[name].mean()))
    ahead = gap(np.array([scores for scores, _ in chosen]), best[against][None])
    return {
        "bytes": budget,
        "smec": round(float(values.mean()), 4),
        "ci": [round(bound, 4) for bound in interval(values)],
        "chosen": [choice for _, choice in chosen],
        "rivals": {name: round(float(scores.mean()), 4) for name, scores in best.items()},
        "best_rival": against,
        "ahead": ahead.document(),
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


def _best(found: list[Run], budget: int) -> Scores | None:
    """The rival's best on the test split in as many bytes or fewer, as the mean over its seeds."""
    first = found[0].folds[0]
    scores = mean_over_seeds(found)
    fitting = [scores[place] for place in range(len(first.dims)) if _bytes(first, place) <= budget]
    return max(fitting, key=lambda values: float(values.mean())) if fitting else None


def _bytes(run: Figures, place: int) -> int:
    return code_bytes(run.codecs[place], run.dims[place])


def _awareness(afterwards: list[Figures], trained: dict[str, list[Figures]]) -> Iterator[Document]:
    for codec, figures in trained.items():
        for place, dim in enumerate(figures[0].dims):
            size = _bytes(figures[0], place)
            if size <= SMALL:
                before, after = _mean(afterwards, dim, codec), _mean(figures, dim, codec)
                yield {
                    "codec": codec,
                    "dim": dim,
                    "bytes": size,
                    "afterwards": round(float(before.mean()), 4),
                    "aware": round(float(after.mean()), 4),
                    "p": round(p_differs(after, before), 4),
                }


def _mean(found: list[Figures], dim: int, codec: str) -> Scores:
    places = [list(zip(run.dims, run.codecs, strict=True)).index((dim, codec)) for run in found]
    mean: Scores = np.mean([run.ndcg[place] for run, place in zip(found, places, strict=True)], axis=0)
    return mean


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not document["datasets"]:
        return []
    lines = [
        "## Equal bytes",
        "",
        "nDCG@10 within a number of bytes per vector, one search, no rescoring; documents are coded, queries",
        "are floats. `smec` is, at each budget, the size and code that scored best on held-out train",
        "queries, of an ordinary training coded afterwards and of trainings for the codes below. A rival has",
        "its best on the test queries in as many bytes or fewer, which it could not know; `mrl` and `chain`",
        "learn from the same labels. OPQ codes the full vectors, or D/4 dims of a trained rival; PCA and the",
        "trained rivals give as many dims as fit, of which int8 keeps a byte, int4 half a byte, binary a",
        "bit, and RaBitQ a bit and eight bytes beside. OPQ has at most 128 parts, even at larger budgets.",
        "*ahead* is the gap to the best rival, with its 95 % interval over queries and seeds.",
        "",
    ]
    for part in document["datasets"]:
        names = list(part["budgets"][-1]["rivals"])
        head = ["bytes", "smec [95 % CI]", *names, "ahead of the best", "chosen"]
        rows = [
            [
                str(row["bytes"]),
                f"**{points(row['smec'])}** [{points(row['ci'][0])}, {points(row['ci'][1])}]",
                *[points(row["rivals"][name]) if name in row["rivals"] else "" for name in names],
                _ahead(row),
                "; ".join(dict.fromkeys(row["chosen"])),
            ]
            for row in part["budgets"]
        ]
        lines += [
            f"### {_title(part)} at equal bytes: full size {points(part['full'])}, seeds: {part['seeds']}",
            "",
            f"{part['queries']} test queries.",
            "",
            f"![nDCG@10 at equal bytes, {_title(part)}](benchmarks/{_file(part)})",
            "",
            *table(head, rows),
            "",
        ]
    return [*lines, *_awareness_lines(document)]


def _title(part: Document) -> str:
    return f"{part['dataset']}, {KINDS[part['kind']]},"


def _file(part: Document) -> str:
    return f"bytes-{part['dataset']}-{part['kind']}.svg"


def _ahead(row: Document) -> str:
    of = row["ahead"]
    low, high = map(signed, of["ci"])
    return f"{signed(of['gap'])} ({low} to {high}) {row['best_rival']}"


def _awareness_lines(document: Document) -> list[str]:
    rows = [
        [
            part["dataset"],
            part["kind"],
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
        *table(AWARENESS_HEAD, rows),
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
            folder / _file(part),
            "bytes per vector",
            "nDCG@10",
            level=(part["full"], "full vectors"),
            ticks=document["budgets"],
        )
