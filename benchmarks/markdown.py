"""Figures and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def points(value: float) -> str:
    """A share as points of 100: 0.7654 -> "76.5"."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}"


def seed_count(seeds: int | None) -> str:
    """A number of seeds; a dash for what depends on none."""
    return "-" if seeds is None else str(seeds)
