"""Where a rival still wins: every cell of the main tables, and every number of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.main_table import title
from benchmarks.markdown import points, signed, table

Document = dict[str, Any]

HEAD = ["where", "size or labels", "smec default", "best rival", "gap [95 %]", "rivals ahead"]


def section(documents: Mapping[str, Document]) -> list[str]:
    """Lines of the page, from the documents that there are."""
    rows = [
        *(_of_sizes(documents["main"]) if "main" in documents else ()),
        *(_of_labels(documents["scarcity"]) if "scarcity" in documents else ()),
    ]
    if not rows:
        return []
    return [
        "### Where a rival still wins",
        "",
        "Gaps are those of `smec default` to the best rival, over queries and seeds; with few labels, of the",
        "mean over the sizes.",
        "",
        *table(HEAD, rows),
        "",
    ]


def _of_sizes(document: Document) -> Iterator[list[str]]:
    for part in document["tables"]:
        ours = {row["method"]: row["ndcg"] for row in part["methods"]}.get("smec default", [])
        for dim, value, best in zip(part["dims"], ours, part["best_rivals"], strict=False):
            if best["gap"] < 0:
                rival = f"{points(best['ndcg'])} {best['method']}"
                yield [title(part), str(dim), points(value), rival, _gap(best), str(best["rivals_ahead"])]


def _of_labels(document: Document) -> Iterator[list[str]]:
    for part in document["datasets"]:
        where = f"{part['dataset']}, few labels"
        for labels in dict.fromkeys(row["labels"] for row in part["rows"]):
            rows = [row for row in part["rows"] if row["labels"] == labels]
            ahead = [row for row in rows if row["default_ahead"] and row["default_ahead"]["gap"] < 0]
            if ahead:
                ours = next(row for row in rows if row["method"] == "smec default")
                best = min(ahead, key=lambda row: row["default_ahead"]["gap"])
                yield [
                    where,
                    "all" if labels is None else str(labels),
                    _mean(ours),
                    f"{_mean(best)} {best['method']}",
                    _gap(best["default_ahead"]),
                    str(len(ahead)),
                ]


def _mean(row: Document) -> str:
    return points(sum(row["ndcg"]) / len(row["ndcg"]))


def _gap(of: Document) -> str:
    return f"{signed(of['gap'])} ({signed(of['ci'][0])} to {signed(of['ci'][1])})"
