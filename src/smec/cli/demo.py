"""``smec demo``: train, compare and search on the data that comes with smec."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.evaluation_tables import describe_queries
from smec.cli.tables import print_table
from smec.errors import OutputError

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.data import Dataset
    from smec.demo.searches import Hit, Search
    from smec.evaluation.results import Evaluation, Result

SEED = 0
SMALL = 24
"""The size that is compressed to and searched with."""

QUESTIONS = (75, 150, 225)
"""At a quarter, half and three quarters of the test questions: nobody picked them."""

DATA, MODEL, COMPRESSED = "medquad", "model", f"corpus-{SMALL}.parquet"
COLUMN = 48


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write; one that the demo wrote is replaced.")
    ] = Path("smec-demo"),
) -> None:
    """Train, compare and search on the data that comes with smec: about a minute."""
    from smec.demo import demo_dataset
    from smec.demo.searches import searches

    _check_output(output)
    dataset = demo_dataset()
    typer.echo(f"MedQuAD, {len(dataset.corpus):,} answers, {dataset.dim} dims: training ...", err=True)
    compressor = _train(dataset)
    typer.echo("comparing with PCA and truncation on questions not seen in training ...", err=True)
    evaluation = _evaluate(dataset, compressor)
    _write(output, compressor)
    _print_sizes(evaluation, dataset, compressor)
    for search in searches(dataset, compressor, SMALL, QUESTIONS):
        _print_search(search, dataset.dim)
    typer.echo(NEXT.format(output=output, data=DATA, model=MODEL, compressed=COMPRESSED, small=SMALL))


NEXT = """\
Written to {output}/
  {model:<20} the compressor: 'smec inspect {output}/{model}' tells what is in it
  {compressed:<20} the corpus, compressed to {small} dims of float16
  {data:<20} the dataset folder, to see how one looks

With data of your own, in a folder like {output}/{data}:
  smec train MY-DATASET -o MY-MODEL                    add --unsupervised where there are no qrels
  smec evaluate MY-DATASET --model MY-MODEL
  smec compress MY-MODEL EMBEDDINGS.parquet -o SMALL.parquet --dim {small} --codec float16"""


def _check_output(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output}: is a file; name a folder with --output")
    foreign = sorted({path.name for path in output.iterdir()} - {DATA, MODEL, COMPRESSED})
    if foreign:
        raise OutputError(
            f"{output}: holds {foreign[0]!r}, not of the demo; name another folder with --output"
        )


def _train(dataset: Dataset) -> Compressor:
    from smec.cli.progress import training_progress
    from smec.method.trainer import train

    with training_progress() as shown:
        return train(dataset, seed=SEED, progress=shown.training, work=shown.work)


def _evaluate(dataset: Dataset, compressor: Compressor) -> Evaluation:
    from smec.baselines import fit_baseline
    from smec.evaluation.comparison import evaluate

    baselines = [fit_baseline(name, dataset, compressor.dims) for name in ("pca", "truncate")]
    return evaluate(dataset, [compressor, *baselines])


def _write(output: Path, compressor: Compressor) -> None:
    from smec.atomic import replacing
    from smec.bulk.compress import compress
    from smec.demo import demo_folder

    with replacing(output, force=True, folder=True) as folder, demo_folder() as data:
        shutil.copytree(data, folder / DATA)
        compressor.save(folder / MODEL)
        compress(compressor, data / "corpus.parquet", folder / COMPRESSED, dim=SMALL, codec="float16")


def _print_sizes(evaluation: Evaluation, dataset: Dataset, compressor: Compressor) -> None:
    full, number = evaluation.full["nDCG@10"], dataset.corpus.vectors.itemsize
    by_size = {(result.method, result.dim): result for result in evaluation.results}
    rows = [
        [
            str(dim),
            str(dim * number),
            f"{dataset.dim / dim:.0f}x",
            _interval(_score(by_size[compressor.name, dim]), by_size[compressor.name, dim].ci),
            f"{100 * (_score(by_size[compressor.name, dim]) / full - 1):+.1f} %",
            f"{_score(by_size['pca', dim]):.3f}",
            f"{_score(by_size['truncate', dim]):.3f}",
            compressor.fallbacks.get(dim, "smec"),
        ]
        for dim in compressor.dims
    ]
    first = [str(dataset.dim), str(dataset.dim * number), "", _interval(full, evaluation.full_ci), *[""] * 4]
    header = ["dims", "bytes", "smaller", "nDCG@10 [95 % CI]", "change", "PCA", "truncation", "ships"]
    typer.echo(f"{evaluation.queries} test questions, none seen in training; bytes of a float16 vector")
    for line in describe_queries(evaluation):
        typer.echo(line)
    print_table(header, [[first], rows])


def _score(result: Result) -> float:
    return result.metrics["nDCG@10"]


def _interval(score: float, ci: tuple[float, float]) -> str:
    return f"{score:.3f} [{ci[0]:.3f}, {ci[1]:.3f}]"


def _print_search(search: Search, input_dim: int) -> None:
    typer.echo(f"Question: {search.question}")
    typer.echo(f"{f'  {input_dim} dims':<{COLUMN}}  {f'  {SMALL} dims'}")
    for full, small in zip(search.full, search.small, strict=True):
        typer.echo(f"{_line(full):<{COLUMN}}  {_line(small)}")
    typer.echo()


def _line(hit: Hit) -> str:
    mark = "✓" if hit.relevant else "-"
    return f"{mark} {textwrap.shorten(hit.text, COLUMN - 2, placeholder=' …', break_on_hyphens=False)}"
