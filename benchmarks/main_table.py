"""The main tables: every method at every size on new documents, on seen ones, and on official test splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, seed_count, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, PCA, SUPERVISED, UNSUPERVISED, Method
from benchmarks.paired import LEVEL, gap, holm, interval, p_differs
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from benchmarks.query_sets import KINDS, QuerySet, Run, datasets_of, full_scores, query_sets, runs

NAME = "main"

Document = dict[str, Any]

SIDES: dict[bool, tuple[Method, tuple[Method, ...]]] = {
    True: (DEFAULT, (*SUPERVISED, PCA)),
    False: (DEFAULT_UNSUPERVISED, UNSUPERVISED),
}
"""With labels or without -> what the others are compared with, and all methods; PCA is in both."""


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in datasets_of(plan):
            for method in (*UNSUPERVISED, *SUPERVISED):
                if (method.learned or seed == 0) and method.name not in plan.left_out:
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Means over seeds, their spread, intervals over queries and paired tests against ``default``."""
    sets = query_sets(laboratory, plan)
    tables = [_part(laboratory, queries, supervised, plan.seeds) for queries in sets for supervised in SIDES]
    return {"tables": [part for part in tables if part is not None]}


def _part(
    laboratory: Laboratory, queries: QuerySet, supervised: bool, seeds: Sequence[int]
) -> Document | None:
    reference, methods = SIDES[supervised]
    finished = {method: runs(laboratory, method, queries, seeds) for method in methods}
    finished = {method: found for method, found in finished.items() if found}
    if not finished:
        return None
    full = full_scores(laboratory, queries)
    rows = [_row(method, found, finished.get(reference)) for method, found in finished.items()]
    _correct(rows)
    default = finished.get(reference)
    rivals = {
        method: found
        for side in (True, False)
        if supervised or not side
        for method in SIDES[side][1]
        if method.preset is None and (found := runs(laboratory, method, queries, seeds))
    }
    return {
        "kind": queries.kind,
        "dataset": queries.title,
        "supervised": supervised,
        "folds": len(queries.datasets),
        "queries": len(full),
        "dims": list(next(iter(finished.values()))[0].dims),
        "full": round(float(full.mean()), 4),
        "full_ci": _rounded(interval(full)),
        "methods": rows,
        "best_rivals": _best_rivals(default, rivals) if default and rivals else [],
    }


def _row(method: Method, found: Sequence[Run], default: Sequence[Run] | None) -> Document:
    by_seed = np.array([run.ndcg.mean(axis=1) for run in found])
    per_query = mean_over_seeds(found)
    row: Document = {
        "method": method.name,
        "seeds": len(found) if method.learned else None,
        "ndcg": _rounded(by_seed.mean(axis=0)),
        "spread": _rounded(by_seed.std(axis=0, ddof=1)) if len(found) > 1 else None,
        "ci": [_rounded(interval(values)) for values in per_query],
        "fallbacks": _rounded(np.mean([run.fell_back for run in found], axis=0)),
        "fit_seconds": round(float(np.median([fold.fit_seconds for run in found for fold in run.folds])), 1),
        "encode_seconds": round(
            float(np.median([fold.encode_seconds for run in found for fold in run.folds])), 3
        ),
    }
    if default is not None and default is not found:
        ours = mean_over_seeds(default)
        row["p_against_default"] = [p_differs(*pair) for pair in zip(ours, per_query, strict=True)]
        row["default_ahead"] = [_ahead(default, found, place) for place in range(len(per_query))]
    return row


def _ahead(default: Sequence[Run], found: Sequence[Run], place: int) -> Document:
    """How far ``default`` is ahead at a size, over queries and seeds."""
    ours, theirs = (np.array([run.ndcg[place] for run in runs]) for runs in (default, found))
    return gap(ours, theirs).document()


def _best_rivals(default: Sequence[Run], rivals: dict[Method, list[Run]]) -> list[Document]:
    """For each size the best rival, with labels or without, and how far ``default`` is ahead of it."""
    found = []
    for place in range(len(default[0].dims)):
        means = {method: float(mean_over_seeds(of)[place].mean()) for method, of in rivals.items()}
        best = max(means, key=lambda method: means[method])
        found.append(
            {
                "method": best.name,
                "ndcg": round(means[best], 4),
                "rivals_ahead": sum(
                    mean > float(mean_over_seeds(default)[place].mean()) for mean in means.values()
                ),
                **_ahead(default, rivals[best], place),
            }
        )
    return found


def _correct(rows: list[Document]) -> None:
    """Adjust the p-values against ``default`` for all comparisons of a table."""
    compared = [row for row in rows if "p_against_default" in row]
    adjusted = iter(holm([p for row in compared for p in row["p_against_default"]]))
    for row in compared:
        row["p_against_default"] = [round(next(adjusted), 4) for _ in row["p_against_default"]]


def _rounded(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]


SECTIONS = {
    "new": """## New documents

Test queries none of whose relevant documents is relevant to a train query: what a method learned here, it
learned about the space, not about these documents. A dataset *split by document* (or by product kind) has all
its judged queries, train and test together, in five folds for reporting only: each fold is fitted without any
judgement of the documents that its test queries ask for, and the figures are of all folds' test queries.

A figure is the mean over seeds; ± is the standard deviation over them. The line below is the 95 %
bootstrap interval over the queries. **Bold** is the best of a size. `*` marks what differs from
`smec default` at p < .05 (paired t-test over the queries, of the mean over seeds; corrected after Holm for
all comparisons of the table). None but smec has a gate: *gate 100 %* says that all seeds and folds shipped a
baseline there. *fit* and *encode* are seconds of one thread on a busy machine: compare them roughly.
PCA is fitted on the corpus of the dataset, on unit-length rows, uncentred (as cosine sees them);
`pca-centred` is the textbook's. LeanVec sees the vectors of the train queries, but no judgements.
""",
    "seen": """## Seen documents

Test queries all of whose relevant documents are relevant to train queries too. A gain here is in part memory
of single documents: what judges those documents once more can gain it, and no other document has any of it.
The tables read as those above.
""",
    "test": """## Official test splits

All test queries of the datasets as they come: for new documents, for seen ones, and for both at once. A
dataset whose test queries are all of one kind is above.
""",
}
"""Kind of test queries -> the head of its part of the page."""


def not_run(document: Document) -> list[str]:
    """A sentence on the methods that no table has, and an empty line; nothing where all were run."""
    run = {row["method"] for part in document["tables"] for row in part["methods"]}
    names = [method.name for method in (*SUPERVISED, *UNSUPERVISED) if method.name not in run]
    if not names:
        return []
    return [
        f"Not run yet by this protocol, and so not in these tables: {', '.join(dict.fromkeys(names))}.",
        "",
    ]


def section(document: Document) -> list[str]:
    """Lines of the page."""
    lines = not_run(document)
    for kind, head in SECTIONS.items():
        parts = [part for part in document["tables"] if part["kind"] == kind]
        if parts:
            lines += [*head.splitlines(), "", *(line for part in parts for line in _table(part))]
    return lines


def title(part: Document) -> str:
    """Heading of a table."""
    labels = "with" if part["supervised"] else "without"
    return f"{part['dataset']}, {KINDS[part['kind']]}, {labels} labels"


def _file(part: Document) -> str:
    return f"{part['dataset'].replace(' ', '-')}-{'labels' if part['supervised'] else 'no-labels'}.svg"


def _table(part: Document) -> list[str]:
    full, (low, high) = part["full"], part["full_ci"]
    best = [max(row["ndcg"][place] for row in part["methods"]) for place in range(len(part["dims"]))]
    drawn = [f"![nDCG@10 against dims, {title(part)}](benchmarks/{_file(part)})", ""]
    return [
        f"### {title(part)}",
        "",
        f"{part['queries']} test queries; the full vectors score {points(full)} "
        f"({points(low)} to {points(high)}).",
        "",
        *(drawn if part["kind"] == "new" else []),
        *table(
            ["method", *map(str, part["dims"]), "seeds", "fit", "encode"],
            (_line(row, best) for row in part["methods"]),
        ),
        "",
    ]


def _line(row: Document, best: list[float]) -> list[str]:
    figures = [_figure(row, place, best[place]) for place in range(len(best))]
    fit, encode = f"{row['fit_seconds']:.0f}", f"{row['encode_seconds']:.2f}"
    return [row["method"], *figures, seed_count(row["seeds"]), fit, encode]


def _figure(row: Document, place: int, best: float) -> str:
    value = row["ndcg"][place]
    figure = f"**{points(value)}**" if value == best else points(value)
    if row["spread"] is not None:
        figure += f" ±{points(row['spread'][place])}"
    if "p_against_default" in row and row["p_against_default"][place] < LEVEL:
        figure += " *"
    if row["fallbacks"][place] > 0:
        figure += f" (gate {100 * row['fallbacks'][place]:.0f} %)"
    low, high = row["ci"][place]
    return f"{figure}<br>{points(low)} to {points(high)}"


def draw(document: Document, folder: Path) -> None:
    """NDCG@10 on new documents against dims, a plot per dataset with and without labels."""
    for part in document["tables"]:
        if part["kind"] != "new":
            continue
        lines = {
            row["method"]: list(zip(part["dims"], (100 * value for value in row["ndcg"]), strict=True))
            for row in part["methods"]
        }
        draw_lines(
            lines,
            folder / _file(part),
            "dims",
            "nDCG@10, times 100",
            level=(100 * part["full"], "full vectors"),
            ticks=part["dims"],
        )
