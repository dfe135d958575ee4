"""What we set out to reach, held against the figures of the other experiments.

"Not inferior" is paired: the gap between two methods over queries and seeds is surely above minus one point
of nDCG@10, at p < .05 after Holm's correction for all cells of the goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.gate_decisions import WORTH
from benchmarks.markdown import points, signed, table
from benchmarks.paired import LEVEL, MARGIN, holm

Document = dict[str, Any]
Goal = tuple[str, bool, str]
"""Goal, whether it is met, and the figure that says so."""

FLOORS = (0.80, 0.79, 0.775, 0.735, 0.66)
"""On all test queries of scifact-mpnet with labels, D/2 to D/32."""

BYTE_FLOORS = ((32, 0.70), (64, 0.74))
"""On all test queries of scifact-mpnet."""


def section(documents: Mapping[str, Document]) -> list[str]:
    """Lines of the page, from the documents that there are."""
    goals = [goal for name, of in GOALS.items() if name in documents for goal in of(documents[name])]
    if not goals:
        return []
    rows = [[goal, "met" if met else "**missed**", figure] for goal, met, figure in goals]
    return [
        "## Goals",
        "",
        "Each is computed from the tables below. *Not inferior* is a paired comparison: the gap over queries",
        f"and seeds is surely above -{points(MARGIN)} points (p < {LEVEL}, one-sided, corrected after Holm",
        "for all cells of the goal). *Surely behind* is a cell whose 95 % interval of the gap ends below 0.",
        "",
        *table(["goal", "", "figure"], rows),
        "",
    ]


def _main(document: Document) -> Iterator[Goal]:
    parts = document["tables"]
    for supervised, labels in ((True, "with labels"), (False, "without labels")):
        new = [part for part in parts if part["kind"] == "new" and part["supervised"] is supervised]
        cells = [
            (f"{part['dataset']} {dim}, {of['method']}", of)
            for part in new
            for dim, of in zip(part["dims"], part["best_rivals"], strict=False)
        ]
        yield from _compared(f"new documents, {labels}: not inferior to the best rival of each cell", cells)
        yield from _compared(f"new documents, {labels}: not inferior to PCA", _against("pca", new))
    yield from _official([part for part in parts if part["kind"] == "test"])


def _against(rival: str, parts: list[Document]) -> list[tuple[str, Document]]:
    """For each cell how far ``default`` is ahead of a rival."""
    return [
        (f"{part['dataset']} {dim}", of)
        for part in parts
        for row in part["methods"]
        if row["method"] == rival
        for dim, of in zip(part["dims"], row.get("default_ahead", []), strict=False)
    ]


def _compared(goal: str, cells: list[tuple[str, Document]]) -> Iterator[Goal]:
    """One goal over all cells: name and gap of each."""
    if not cells:
        return
    adjusted = holm([of["p_inferior"] for _, of in cells])
    shown = sum(p < LEVEL for p in adjusted)
    behind = [f"{name}: {_gap(of)}" for name, of in cells if of["ci"][1] < 0]
    figure = f"shown in {shown} of {len(cells)} cells; surely behind in {len(behind)}"
    yield goal, shown == len(cells), "; ".join([figure, *behind])


def _gap(of: Document) -> str:
    return f"{signed(of['gap'])} ({signed(of['ci'][0])} to {signed(of['ci'][1])})"


def _official(parts: list[Document]) -> Iterator[Goal]:
    """Goals that were set for the official test split of one dataset."""
    for part in parts:
        rows = {row["method"]: row["ndcg"] for row in part["methods"]}
        if part["dataset"] != "scifact-mpnet" or "smec default" not in rows:
            continue
        ours = rows["smec default"]
        if part["supervised"]:
            yield (
                f"official test split of scifact-mpnet, with labels (memory included): "
                f"{' / '.join(points(floor) for floor in FLOORS)}",
                all(value >= floor for value, floor in zip(ours, FLOORS, strict=True)),
                " / ".join(points(value) for value in ours),
            )
        else:
            gains = [ours[place] - rows["pca"][place] for place in (3, 4)]
            yield (
                "official test split of scifact-mpnet, without labels: 4 points over PCA at D/16 and D/32",
                min(gains) >= 0.04,
                " / ".join(signed(gain) for gain in gains),
            )


def _few(document: Document) -> Iterator[Goal]:
    harmed, idle = [], []
    for part in document["datasets"]:
        for row in part["rows"]:
            if row["method"] != "smec default" or row["labels"] == 0:
                continue
            labels = part["labels"] if row["labels"] is None else row["labels"]
            said = f"{part['dataset']} with {labels}: {_gap(row['over_pca'])}"
            if labels <= 30 and row["sizes_surely_below_pca"]:
                harmed.append(said)
            if labels >= 100 and row["over_pca"]["ci"][0] <= 0:
                idle.append(said)
    yield "30 labels or fewer: at no size surely below PCA", not harmed, "; ".join(harmed) or "at none"
    yield "from 100 labels on: surely a gain over PCA", not idle, "; ".join(idle) or "everywhere"


def _gate(document: Document) -> Iterator[Goal]:
    decisions = document["decisions"]
    if not decisions:
        return
    below = sum(one["p_below_holm"] < LEVEL for one in decisions)
    yield "the gate: no shipped size surely below PCA", not below, f"{below} of {len(decisions)} decisions"
    worth = [one for one in decisions if one["candidate_gain"] >= WORTH]
    shipped = sum(one["shipped"] == "smec" for one in worth)
    yield (
        f"the gate: four in five sizes that would gain {points(WORTH)} points or more ship",
        5 * shipped >= 4 * len(worth),
        f"{shipped} of {len(worth)}",
    )


def _bytes(document: Document) -> Iterator[Goal]:
    new = [part for part in document["datasets"] if part["kind"] == "new"]
    cells = [
        (f"{part['dataset']} {row['bytes']}, {row['best_rival']}", row["ahead"])
        for part in new
        for row in part["budgets"]
    ]
    yield from _compared(
        "new documents, at every budget of bytes: not inferior to the best rival's code", cells
    )
    for part in document["datasets"]:
        if part["dataset"] == "scifact-mpnet" and part["kind"] == "test":
            at = {row["bytes"]: row["smec"] for row in part["budgets"]}
            for budget, floor in BYTE_FLOORS:
                goal = f"official test split of scifact-mpnet, {budget} bytes: {points(floor)}"
                yield goal, at[budget] >= floor, points(at[budget])
    lost = [
        f"{part['dataset']} {row['dim']} as {row['codec']}: {signed(row['aware'] - row['afterwards'])}"
        for part in new
        for row in part["training_for_a_code"]
        if row["aware"] <= row["afterwards"]
    ]
    if new:
        yield (
            "new documents: training for a code of at most 32 bytes gains over coding afterwards",
            not lost,
            "not: " + "; ".join(lost) if lost else "in every cell",
        )


def _speed(document: Document) -> Iterator[Goal]:
    seconds, ratio = document["seconds"], document["ratio"]
    yield "all sizes of scifact-mpnet trained in 20 s", seconds <= 20, f"{seconds:.1f} s"
    yield "at most half of Matryoshka-Adaptor's time", ratio <= 0.5, f"ratio {ratio:.2f}"


GOALS: dict[str, Callable[[Document], Iterator[Goal]]] = {
    "main": _main,
    "scarcity": _few,
    "gate_decisions": _gate,
    "equal_bytes": _bytes,
    "speed": _speed,
}
"""Experiment -> the goals that it decides."""
