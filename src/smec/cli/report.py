"""``smec report``: a page on what compressors do to a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.evaluate import open_searched
from smec.cli.options import DryRun, Force, Sample
from smec.errors import OutputError

if TYPE_CHECKING:
    from smec.report.measurement import Answer

PAGE = 600_000
"""Bytes of a page, about."""


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of one or more compressors, and last a dataset folder.",
            metavar="MODEL... DATASET",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    split: Annotated[str, typer.Option(help="Whose queries are asked.")] = "test",
    seed: Annotated[int, typer.Option(help="Of intervals, tests and the rivals' calibrations.", min=0)] = 0,
    sample: Sample = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Write one HTML page, without any network, on quality, bytes, wins and losses.

    Scores every size under every codec that a compressor is calibrated for, beside PCA and truncation
    fitted to the same corpus, by exact search; without qrels, by the nearest neighbours that are kept.
    Where the dataset has train qrels, quality on new documents is shown beside quality on documents
    that were judged in training.
    """
    from smec.atomic import check_free
    from smec.cli.dry_run import print_ahead
    from smec.cli.searches_ahead import measured_searches, searches_ahead, searching
    from smec.codecs import sampled as drawn
    from smec.compressor import Compressor
    from smec.evaluation.comparison import check_width
    from smec.evaluation.results import describe_sample
    from smec.report import write_report
    from smec.report.measurement import count_searches, stored_models
    from smec.report.page import check_report

    *folders, dataset = paths
    if not folders:
        raise typer.BadParameter("give at least one compressor before the dataset", param_hint="MODEL...")
    check_free(output, force=force)
    if output.exists() and any(output.resolve().is_relative_to(path.resolve()) for path in paths):
        raise OutputError(f"{output}: is part of what the report is about; name another output")
    models = dict(zip(_names(folders), map(Compressor.load, folders), strict=True))
    searches = count_searches(models)
    with searching(dataset, split, searches, what="report", silent=dry_run) as progress:
        opened = open_searched(dataset, sample, progress.reading, seed)
        for model in models.values():  # before all rows are read
            check_width(model, opened)
        if dry_run:
            check_report(output, models, force=force)
            vectors = drawn(opened.corpus.vectors, seed)
            pace = measured_searches(opened, stored_models(models, opened, vectors, seed), split, searches)
            print_ahead(searches_ahead(opened, dataset, pace, written=PAGE), exact=False, as_json=False)
            return
        _ = opened.moments  # read now, for PCA, as what follows counts documents
        answers = write_report(output, models, opened, split=split, seed=seed, force=force, progress=progress)
    for answer in answers:
        typer.echo(_in_words(answer))
    sampled = describe_sample(len(opened.corpus), opened.all_documents, judged=bool(opened.splits))
    if sampled is not None:
        typer.echo(sampled)
    typer.echo(f"saved: {output}")


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names where those differ, else as they were given."""
    own = [folder.resolve().name for folder in folders]
    counts = Counter(own)
    names = [name if counts[name] == 1 else str(folder) for name, folder in zip(own, folders, strict=True)]
    if len(set(names)) < len(names):
        raise typer.BadParameter("a compressor is given twice", param_hint="MODEL...")
    return names


def _in_words(answer: Answer) -> str:
    result = answer.result
    size = f"{result.bytes} bytes ({result.dim} dims as {result.codec})"
    measure = next(iter(result.metrics))
    lines = [
        f"  {kept.points:+.1f} points of {measure} {'over' if kept.group.name == 'all' else 'on'} "
        f"{kept.group.words}{_share(kept.share)}"
        for kept in answer.kept
    ]
    return "\n".join(
        [
            f"{answer.model}: {size}, {answer.times_smaller:.3g} times smaller",
            *lines,
            *(f"  {said}" for said in answer.unmeasured),
        ]
    )


def _share(share: float | None) -> str:
    return "" if share is None else f": {100 * share:.1f} % of the full score"
