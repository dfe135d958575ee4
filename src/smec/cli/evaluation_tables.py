"""Scores of an evaluation on stdout: new and seen documents apart, then all queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from smec.cli.tables import FLOAT_BYTES, print_table, score_cell

if TYPE_CHECKING:
    from smec.evaluation.results import Evaluation, GroupScore, Result

FURTHER = {"R@100": "R@100", "RR@10": "MRR@10"}
"""Measures beside the headline -> their column names."""


def print_evaluation(evaluation: Evaluation, input_dim: int) -> None:
    """Print what the queries ask for, then the full vectors and every method size by size.

    Parameters
    ----------
    evaluation : Evaluation
    input_dim : int
        Width of the full vectors.
    """
    for line in describe_queries(evaluation):
        typer.echo(line)
    headline = next(iter(evaluation.full))
    full = _groups(evaluation.full_new, evaluation.full_seen)
    whole = [name for name, score in full.items() if score.queries == evaluation.queries]
    if full and not whole:
        typer.echo(f"\n{headline} for {' and for '.join(full)} documents; change is against the full vectors")
        _print_groups(evaluation, input_dim, full)
    if evaluation.groups is not None:
        typer.echo(f"\n{headline} over all {counted(evaluation.queries)}, with further measures")
        headline_column = whole[0] if whole else "all"
    else:
        headline_column = headline
    _print_all(evaluation, input_dim, f"{headline_column} [95 % CI]")


def describe_queries(evaluation: Evaluation) -> list[str]:
    """Sentences on how many queries ask for new and for seen documents, and on what was not measured."""
    lines = []
    if evaluation.full_new is not None:
        number = counted(evaluation.full_new.queries)
        lines.append(f"new: {number} for documents that were never relevant in training")
    if evaluation.full_seen is not None:
        number = counted(evaluation.full_seen.queries)
        lines.append(f"seen: {number} for documents that were all relevant in training")
    if evaluation.groups is not None and evaluation.groups.mixed.any():
        number = counted(int(evaluation.groups.mixed.sum()))
        lines.append(f"mixed: {number} for documents of both kinds; counted among all queries only")
    return [*lines, *evaluation.unmeasured]


def counted(queries: int) -> str:
    """Return the number with its noun: "1 query", "104 queries"."""
    return "1 query" if queries == 1 else f"{queries} queries"


def change_cell(value: float, reference: float) -> str:
    """Return the change in percent: "+3.7 %"; empty where the reference is 0."""
    return f"{100 * (value / reference - 1):+.1f} %" if reference else ""


def _groups(new: GroupScore | None, seen: GroupScore | None) -> dict[str, GroupScore]:
    return {name: score for name, score in (("new", new), ("seen", seen)) if score is not None}


def _print_groups(evaluation: Evaluation, input_dim: int, full: dict[str, GroupScore]) -> None:
    header, first = ["method", "dim"], ["full", str(input_dim)]
    for name, score in full.items():
        header += [f"{name} [95 % CI]", "change"]
        first += [score_cell(score.mean, score.ci), ""]

    def row(result: Result) -> list[str]:
        cells = [_named(result), str(result.dim)]
        for name, score in _groups(result.new, result.seen).items():
            cells += [score_cell(score.mean, score.ci), change_cell(score.mean, full[name].mean)]
        return cells

    print_table(header, [[first], *_by_size(evaluation, row)])


def _print_all(evaluation: Evaluation, input_dim: int, headline_column: str) -> None:
    headline, full = next(iter(evaluation.full)), evaluation.full
    further = [name for name in FURTHER if name in full]
    header = ["method", "dim", "bytes", headline_column, "change", *(FURTHER[name] for name in further), "p"]
    first = ["full", str(input_dim), str(FLOAT_BYTES * input_dim)]
    first += [score_cell(full[headline], evaluation.full_ci), "", *(f"{full[n]:.3f}" for n in further), ""]

    def row(result: Result) -> list[str]:
        return [
            _named(result),
            str(result.dim),
            str(result.bytes),
            score_cell(result.metrics[headline], result.ci),
            change_cell(result.metrics[headline], full[headline]),
            *(f"{result.metrics[name]:.3f}" for name in further),
            f"{result.p_vs_full:.4f}",
        ]

    print_table(header, [[first], *_by_size(evaluation, row)])


def _by_size(evaluation: Evaluation, row: Callable[[Result], list[str]]) -> list[list[list[str]]]:
    sizes = sorted({result.dim for result in evaluation.results}, reverse=True)
    return [[row(result) for result in evaluation.results if result.dim == dim] for dim in sizes]


def _named(result: Result) -> str:
    parts = [f"{result.method} (fallback)" if result.fallback else result.method]
    if result.codec != "float32":
        parts.append(result.codec)
    if result.rescored is not None:
        fine = result.rescored
        parts.append(f"{fine.oversample}x rescored by {fine.dim} {fine.codec}")
    return ", ".join(parts)
