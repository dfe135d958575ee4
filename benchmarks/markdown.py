"""Figures and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from smec.atomic import replacing


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def write_between(page: Path, marker: str, lines: Iterable[str]) -> None:
    """Replace what a page has between ``<!-- marker:begin -->`` and ``<!-- marker:end -->``."""
    begin, end = f"<!-- {marker}:begin -->\n", f"<!-- {marker}:end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    with replacing(page, force=True) as part:
        part.write_text("".join([before, begin, *(f"{line}\n" for line in lines), end, after]), "utf-8")


def points(value: float) -> str:
    """A share as points of 100: 0.7654 -> "76.5"."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}"


def seed_count(seeds: int | None) -> str:
    """A number of seeds; a dash for what depends on none."""
    return "-" if seeds is None else str(seeds)
