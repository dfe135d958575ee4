"""Tables on stdout, and what a gate measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from smec.adaptation import Adaptation
    from smec.artefact import Choice, CodedScore, Validation
    from smec.compressor import Compressor

FLOAT_BYTES = 4
PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe, where nothing may be cut."""

NAME_WIDTH = 8
"""Least width of a folded first column."""

GAP = 2
"""Blanks between two columns, and at both edges together."""


def print_table(header: Sequence[str], groups: Iterable[Sequence[Sequence[str]]]) -> None:
    """Print groups of rows under a header; all columns but the first to the right.

    On a terminal only the first column is folded: no number is cut, even where the terminal is too narrow.
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number > 0)
    for rows in groups:
        for row in rows:
            table.add_row(*row)
        table.add_section()
    width = max(Console().width, _narrowest(table)) if sys.stdout.isatty() else PLAIN_WIDTH
    Console(width=width, markup=False, highlight=False).print(table)


def _narrowest(table: Table) -> int:
    """Columns that the table needs at least, the first column folded."""
    longest = [max(len(str(cell)) for cell in (of.header, *of.cells)) for of in table.columns]
    return NAME_WIDTH + sum(longest[1:]) + GAP * len(longest)


def print_sentence(text: str) -> None:
    """Print a line of text; a terminal gets it wrapped between words."""
    if sys.stdout.isatty():
        text = fill(text, get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)
    typer.echo(text)


def score_cell(mean: float, interval: tuple[float, float]) -> str:
    """Return a score with its interval in 18 columns: "0.617 [.540, .690]"."""
    low, high = (f"{bound:.3f}".removeprefix("0")[:4] for bound in interval)  # the highest one is 1.00
    return f"{mean:.3f} [{low}, {high}]"


def print_outcome(compressor: Compressor) -> None:
    """Print the gate's table, and a warning for each size that fell back."""
    validation = compressor.manifest.validation
    if validation is None:
        typer.echo("the no-harm gate was switched off: nothing was measured")
    else:
        print_validation(validation, compressor.manifest.training.get("codec") or "float32")
    for dim, method in compressor.fallbacks.items():
        typer.echo(f"warning: size {dim} is {method}: {_reason(validation, dim)}", err=True)
    if compressor.manifest.sentences is not None:
        from smec.card import sentences_sentence

        print_sentence(sentences_sentence(compressor.manifest.sentences))
    if compressor.manifest.feedback is not None:
        from smec.card import feedback_sentence

        print_sentence(feedback_sentence(compressor.manifest.feedback))
    if compressor.manifest.choice is not None:
        print_choice(compressor.manifest.choice)


def print_adaptation(adaptation: Adaptation) -> None:
    """Print what queries scored before and with a matrix of their own, and a warning if sizes stay."""
    from smec.card import kept_reason

    for title, sizes in adaptation.groups():
        print_sentence(title)
        rows = [
            [
                str(size.dim),
                f"{of.full:.3f}",
                f"{of.before:.3f}",
                f"{of.own:.3f}",
                f"{of.ci[0]:+.3f} to {of.ci[1]:+.3f}",
                size.ships,
            ]
            for size, of in sizes
        ]
        print_table(["dim", "full", "before", "own", "change (95 % CI)", "ships"], [rows])
    if adaptation.kept:
        sizes_kept = ", ".join(map(str, adaptation.kept))
        typer.echo(f"warning: queries of {sizes_kept} stay as they were: {kept_reason(adaptation)}", err=True)


def _reason(validation: Validation | None, dim: int) -> str:
    from smec.card import fallback_reason

    sizes = [] if validation is None else [size for size in validation.sizes if size.dim == dim]
    return fallback_reason(validation, sizes[0]) if validation and sizes else "nothing was measured there"


def print_choice(choice: Choice) -> None:
    """What a budget or a target led to: the best of every number of bytes, and why the chosen one."""
    front: list[CodedScore] = []
    for one in choice.considered:
        if not front or one.score > front[-1].score:
            front.append(one)
    rows = [
        [
            str(one.bytes),
            str(one.dim),
            one.codec,
            f"{one.score:.4f}",
            f"{100 * one.score / choice.full:.1f} %" if choice.full else "",
            "chosen" if one == choice.chosen else "",
        ]
        for one in front
    ]
    count = len(choice.considered)
    typer.echo(f"{count} combinations of size and codec were scored; each of these beats all of fewer bytes")
    print_table(["bytes", "dim", "codec", "score", "of full", ""], [rows])
    chosen = choice.chosen
    if not choice.met:
        typer.echo(f"warning: {unmet(choice)}", err=True)
    elif choice.target is not None:
        typer.echo(
            f"chosen: {chosen.dim} dims as {chosen.codec}, {chosen.bytes} bytes: the fewest that reach "
            f"{100 * choice.target:.1f} % of the full vectors' {choice.full:.4f}"
        )
    else:
        typer.echo(
            f"chosen: {chosen.dim} dims as {chosen.codec}, {chosen.bytes} bytes: scores best within "
            f"{choice.budget} bytes"
        )


def unmet(choice: Choice) -> str:
    """That no size and codec reaches the target, and how near the best one comes."""
    chosen = choice.chosen
    return (
        f"target {choice.target}: nothing reaches it; the nearest, {chosen.dim} dims as {chosen.codec}, "
        f"scores {chosen.score:.4f} where the full vectors score {choice.full:.4f}"
    )


def print_validation(validation: Validation, codec: str) -> None:
    """One row per size: its scores beside the full vectors' and the baselines', and what it ships."""
    for one in validation.tables():
        _print_table_of(one, codec)


def _print_table_of(validation: Validation, codec: str) -> None:
    from smec.card import best_other, groups, remarks
    from smec.codecs import code_bytes

    for title, sizes in groups(validation):
        print_sentence(title if codec == "float32" else f"{title}, stored as {codec}")
        rows = [
            [
                str(size.dim),
                str(code_bytes(codec, size.dim)),
                f"{of.full:.3f}",
                score_cell(of.smec, of.ci),
                f"{of.pca:.3f}",
                best_other(of, digits=3),
                size.method,
            ]
            for size, of in sizes
        ]
        print_table(["dim", "bytes", "full", "smec [95 % CI]", "pca", "best other", "ships"], [rows])
    for sentence in remarks(validation):
        print_sentence(sentence)
