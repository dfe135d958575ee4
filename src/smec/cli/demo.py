"""``smec demo``: train, compare and search on the data that comes with smec."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from smec.compressor import Compressor
    from smec.data import Dataset
    from smec.demo.searches import Hit, Search
    from smec.evaluation.results import Evaluation, Result

WIDTH = 100
SEED = 0
SHOWN_DIM = 24
SHOWN_QUESTIONS = (75, 150, 225)
"""At a quarter, half and three quarters of the test questions: nobody picked them."""

DATA, MODEL, COMPRESSED = "medquad", "model", f"corpus-{SHOWN_DIM}.parquet"


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; one that the demo wrote is replaced.")
    ] = Path("smec-demo"),
) -> None:
    """Train on 1,200 questions on health, compare and search: about a minute."""
    from rich.console import Console

    from smec.demo import demo_dataset
    from smec.demo.searches import searches

    _check_output(output)
    dataset, log = demo_dataset(), Console(stderr=True, highlight=False)
    compressor = _train(dataset, log)
    with log.status("comparing with PCA and truncation on 300 held-out questions"):
        evaluation = _evaluate(dataset, compressor)
    _write(output, compressor)
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=min(WIDTH, Console().width) if terminal else WIDTH)
    console.print(_sizes(evaluation, dataset.corpus.vectors.itemsize, dataset.dim))
    for line in _remarks(evaluation, compressor):
        console.print(line)
    for search in searches(dataset, compressor, SHOWN_DIM, SHOWN_QUESTIONS):
        console.print(_side_by_side(search, dataset.dim))
    _next_steps(console, output)


def _check_output(output: Path) -> None:
    from smec.errors import OutputError

    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output}: is a file; name a folder with --output")
    foreign = sorted({path.name for path in output.iterdir()} - {DATA, MODEL, COMPRESSED})
    if foreign:
        raise OutputError(
            f"{output}: holds {foreign[0]!r}, which is not of the demo; name another with --output"
        )


def _train(dataset: Dataset, log: Console) -> Compressor:
    from smec.cli.progress import training_progress
    from smec.method.trainer import train

    log.print(f"{len(dataset.corpus):,} answers of MedQuAD, {dataset.dim} dims; training on 1,200 questions")
    with training_progress(log) as progress:
        return train(dataset, seed=SEED, progress=progress)


def _evaluate(dataset: Dataset, compressor: Compressor) -> Evaluation:
    from smec.baselines import fit_baseline
    from smec.evaluation.comparison import evaluate

    baselines = [fit_baseline(name, dataset.corpus.vectors, compressor.dims) for name in ("pca", "truncate")]
    return evaluate(dataset, [compressor, *baselines])


def _write(output: Path, compressor: Compressor) -> None:
    from smec.atomic import replacing
    from smec.bulk.compress import compress
    from smec.demo import demo_folder

    with replacing(output, force=True, folder=True) as folder, demo_folder() as data:
        shutil.copytree(data, folder / DATA)
        compressor.save(folder / MODEL)
        compress(compressor, data / "corpus.parquet", folder / COMPRESSED, dim=SHOWN_DIM, codec="float16")


def _sizes(evaluation: Evaluation, number_bytes: int, input_dim: int) -> Table:
    from rich.table import Table

    table = Table(title=f"nDCG@10 of {evaluation.queries} test questions, none seen in training")
    for column in ("dims", "bytes", "smaller", "smec [95 % CI]", "against full", "PCA", "truncation"):
        table.add_column(column, justify="right")
    full = evaluation.full["nDCG@10"]
    table.add_row(
        str(input_dim), str(input_dim * number_bytes), "", _interval(full, evaluation.full_ci), "", "", ""
    )
    scores = {(result.method, result.dim): result for result in evaluation.results}
    for result in (r for r in evaluation.results if r.method not in ("pca", "truncate")):
        table.add_row(
            str(result.dim),
            str(result.dim * number_bytes),
            f"{input_dim // result.dim}x",
            _interval(_score(result), result.ci),
            f"{100 * (_score(result) / full - 1):+.1f} %",
            f"{_score(scores['pca', result.dim]):.3f}",
            f"{_score(scores['truncate', result.dim]):.3f}",
        )
    return table


def _score(result: Result) -> float:
    return result.metrics["nDCG@10"]


def _interval(score: float, ci: tuple[float, float]) -> str:
    return f"{score:.3f} [{ci[0]:.3f}, {ci[1]:.3f}]"


def _remarks(evaluation: Evaluation, compressor: Compressor) -> list[str]:
    kept = [f"{dim} dims ship {name}" for dim, name in compressor.fallbacks.items()]
    gate = f"The gate, on held-out train questions: {', '.join(kept)}." if kept else ""
    return [
        line
        for line in (gate, "Bytes are of one float16 vector, as the data has them.", "")
        if line or not gate
    ]


def _side_by_side(search: Search, input_dim: int) -> Table:
    from rich.table import Table

    table = Table(title=f"“{search.question}”", width=WIDTH, title_justify="left")
    for dim in (input_dim, SHOWN_DIM):
        table.add_column(f"{dim} dims", ratio=1, no_wrap=True, overflow="ellipsis")
    for full, small in zip(search.full, search.small, strict=True):
        table.add_row(_marked(full), _marked(small))
    return table


def _marked(hit: Hit) -> str:
    return f"{'✓' if hit.relevant else ' '} {hit.text}"


def _next_steps(console: Console, output: Path) -> None:
    console.print("x")
