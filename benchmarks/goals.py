"""What we set out to reach, held against the figures of the other experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.markdown import points, signed, table

Document = dict[str, Any]

FLOORS = (0.80, 0.79, 0.775, 0.735, 0.66)
"""On scifact-mpnet with labels, D/2 to D/32."""


def section(documents: Mapping[str, Document]) -> list[str]:
    """Lines of the page, from the documents that there are."""
    goals = list(_goals(documents))
    rows = [[goal, "met" if met else "**missed**", figure] for goal, met, figure in goals]
    return [
        "## Goals",
        "",
        "Set before the runs; each is computed from the tables below.",
        "",
        *table(["goal", "", "figure"], rows),
        "",
        *(_rivals_ahead(documents["main"]["tables"]) if "main" in documents else []),
    ]


def _rivals_ahead(parts: list[Document]) -> list[str]:
    """Every cell of the main table in which a rival scores higher."""
    rows = []
    for part in parts:
        ours = _row(part, "smec default")
        rivals = [row for row in part["methods"] if not row["method"].startswith("smec")]
        for place, dim in enumerate(part["dims"]):
            ahead = [row for row in rivals if row["ndcg"][place] > ours["ndcg"][place]]
            if ahead:
                best = max(ahead, key=lambda row: row["ndcg"][place])
                rows.append(
                    [
                        f"{part['dataset']}, {'with' if part['supervised'] else 'without'} labels",
                        str(dim),
                        points(ours["ndcg"][place]),
                        f"{points(best['ndcg'][place])} {best['method']}",
                        f"{best['p_against_default'][place]:.3f}",
                        str(len(ahead)),
                    ]
                )
    head = ["where", "size", "smec default", "best rival", "p", "rivals ahead"]
    return ["### Where a rival still wins", "", *table(head, rows), ""]


def _goals(documents: Mapping[str, Document]) -> Iterator[tuple[str, bool, str]]:
    if "main" in documents:
        tables = documents["main"]["tables"]
        yield from _labelled([part for part in tables if part["supervised"]], tables)
        yield from _unlabelled([part for part in tables if not part["supervised"]])
    if "scarcity" in documents:
        yield from _few(documents["scarcity"])
    if "equal_bytes" in documents:
        yield from _bytes(documents["equal_bytes"])
    if "speed" in documents:
        speed = documents["speed"]
        yield (
            "all sizes of scifact-mpnet trained in 20 s",
            speed["seconds"] <= 20,
            f"{speed['seconds']:.1f} s",
        )
        yield (
            "at most half of Matryoshka-Adaptor's time",
            speed["ratio"] <= 0.5,
            f"ratio {speed['ratio']:.2f}",
        )


def _row(part: Document, method: str) -> Document:
    found: Document = next(row for row in part["methods"] if row["method"] == method)
    return found


def _labelled(parts: list[Document], tables: list[Document]) -> Iterator[tuple[str, bool, str]]:
    cells = strictly = 0
    beaten: list[str] = []
    for part in parts:
        ours = _row(part, "smec default")
        rivals = [
            row
            for other in tables
            if other["dataset"] == part["dataset"]
            for row in other["methods"]
            if not row["method"].startswith("smec")
        ]
        for place, dim in enumerate(part["dims"]):
            best = max(rivals, key=lambda row: row["ndcg"][place])
            gain = ours["ndcg"][place] - best["ndcg"][place]
            cells, strictly = cells + 1, strictly + (gain > 0)
            if ours["ci"][place][1] < best["ndcg"][place]:
                beaten.append(f"{part['dataset']} {dim}: {best['method']} {points(best['ndcg'][place])}")
    yield (
        "with labels: at least as good as the best rival within the interval, in every cell",
        not beaten,
        "; ".join(beaten) or f"all {cells} cells",
    )
    yield (
        "with labels: better than the best rival in two thirds of the cells",
        strictly >= 2 * cells / 3,
        f"{strictly} of {cells}",
    )
    for part in parts:
        if part["dataset"] == "scifact-mpnet":
            figures = _row(part, "smec default")["ndcg"]
            yield (
                f"scifact-mpnet with labels: {' / '.join(points(floor) for floor in FLOORS)}",
                all(value >= floor for value, floor in zip(figures, FLOORS, strict=True)),
                " / ".join(f"{100 * value:.2f}" for value in figures),
            )


def _unlabelled(parts: list[Document]) -> Iterator[tuple[str, bool, str]]:
    for rival in ("pca", "matryoshka-adaptor-unsupervised", "dive-unsupervised"):
        behind = []
        for part in parts:
            names = {row["method"] for row in part["methods"]}
            if rival in names:
                pairs = zip(_row(part, "smec default")["ndcg"], _row(part, rival)["ndcg"], strict=True)
                behind += [
                    f"{part['dataset']} {dim}: {signed(ours - theirs)}"
                    for dim, (ours, theirs) in zip(part["dims"], pairs, strict=True)
                    if ours < theirs
                ]
        yield (f"without labels: never below {rival}", not behind, "; ".join(behind) or "in no cell")
    for part in parts:
        if part["dataset"] == "scifact-mpnet":
            ours, pca = _row(part, "smec default")["ndcg"], _row(part, "pca")["ndcg"]
            gains = [ours[place] - pca[place] for place in (3, 4)]
            yield (
                "scifact-mpnet without labels: 4 points over PCA at D/16 and D/32",
                min(gains) >= 0.04,
                " / ".join(signed(gain) for gain in gains),
            )


def _few(document: Document) -> Iterator[tuple[str, bool, str]]:
    harmed, idle = [], []
    for part in document["datasets"]:
        for row in part["rows"]:
            if row["method"] != "smec default" or row["labels"] == 0:
                continue
            labels = part["labels"] if row["labels"] is None else row["labels"]
            said = f"{part['dataset']} with {labels}: {signed(row['gain'])}"
            if labels <= 30 and row["sizes_surely_below_pca"]:
                harmed.append(said)
            if labels >= 100 and row["gain"] <= 0:
                idle.append(said)
    yield ("30 labels or fewer: at no size surely below PCA", not harmed, "; ".join(harmed) or "at none")
    yield ("from 100 labels on: a gain over PCA", not idle, "; ".join(idle) or "everywhere")


def _bytes(document: Document) -> Iterator[tuple[str, bool, str]]:
    behind, lost = [], []
    for part in document["datasets"]:
        at = {row["bytes"]: row for row in part["budgets"]}
        if part["dataset"] == "scifact-mpnet":
            for budget, floor in ((24, part["full"]), (32, 0.70), (64, 0.74)):
                fitting = max((size for size in at if size <= budget), default=None)
                assert fitting is not None
                yield (
                    f"scifact-mpnet with {budget} bytes: {points(floor)}",
                    at[fitting]["smec"] >= floor,
                    f"{points(at[fitting]['smec'])} with {fitting}",
                )
        behind += [
            f"{part['dataset']} {row['bytes']}: {points(row['smec'])}, {row['best_rival']} {points(best)}"
            for row in part["budgets"]
            if row["smec"] < (best := row["rivals"][row["best_rival"]])
        ]
        lost += [
            f"{part['dataset']} {row['dim']} as {row['codec']}: {signed(row['aware'] - row['afterwards'])}"
            for row in part["training_for_a_code"]
            if row["aware"] <= row["afterwards"]
        ]
    yield (
        "at every budget of bytes, at least as good as the best rival's code",
        not behind,
        "; ".join(behind) or "in every cell",
    )
    yield (
        "training for a code of at most 32 bytes gains over coding afterwards",
        not lost,
        "not: " + "; ".join(lost) if lost else "in every cell",
    )
