"""``smec evaluate``: compressors and baselines beside the full vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.baselines import BASELINES
from smec.cli.options import AsJson, DatasetFolder, DryRun, FeedbackWeight, Sample, parse_dims
from smec.errors import ConfigError

if TYPE_CHECKING:
    from smec.coded import Coded
    from smec.compressor import Compressor
    from smec.data import Dataset
    from smec.data.sample import OnRows
    from smec.encoder import Encoder
    from smec.evaluation.rescoring import Rescored
    from smec.vectors import FloatArray


def evaluate(
    dataset: DatasetFolder,
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", "-m", help="Folder of a compressor; may be given repeatedly."),
    ] = None,
    baselines: Annotated[
        str,
        typer.Option(
            help="Fitted to the corpus, those that learn from them to the train queries too: "
            f"{', '.join(BASELINES)}; '' for none."
        ),
    ] = "truncate,pca",
    dims: Annotated[
        str | None,
        typer.Option(help="Sizes to score: 384,192,96. Default: those of the models, or D/2 to D/32."),
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            help="How documents are stored, several by commas: float32, float16, int8, int4, binary, itq, "
            "pqN, opqN (N bytes), rabitq. A model must be calibrated for it; sizes that it cannot pack are "
            "left out."
        ),
    ] = "float32",
    rescore: Annotated[
        str | None,
        typer.Option(
            help="Put candidates of smaller codes in order by a size and codec of the model: 384:int8."
        ),
    ] = None,
    oversample: Annotated[int, typer.Option(help="Candidates per result, with --rescore.", min=1)] = 10,
    feedback: Annotated[
        bool,
        typer.Option(
            "--feedback",
            help="Move the documents that the train split judges towards its queries, for models and "
            "baselines; the full vectors stay as they are.",
        ),
    ] = False,
    feedback_weight: FeedbackWeight = None,
    split: Annotated[str, typer.Option(help="Whose judgements count.")] = "test",
    sample: Sample = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Score compressors and baselines on a dataset folder, by exact search.

    Scores are means over the split's queries with a 95 % interval; change and p (paired
    permutation test) are against the full vectors. Codecs other than float32 stand beside the
    method's name. Where the dataset has train qrels, queries for new documents are scored first and
    apart: none of their relevant documents is relevant to a train query. Queries for seen documents
    are scored apart too: all of theirs are. Without any qrels: overlap@10, the share of the 10
    nearest neighbours that is kept.
    """
    from smec.cli.dry_run import print_ahead
    from smec.cli.searches_ahead import measured_searches, searches_ahead, searching
    from smec.compressor import Compressor
    from smec.evaluation.comparison import evaluate as score

    if feedback_weight is not None and not feedback:
        raise ConfigError("--feedback-weight is for --feedback")
    asked = None if dims is None else parse_dims(dims)
    compressors = [Compressor.load(path) for path in model or []]
    names = [name.strip() for name in baselines.split(",") if name.strip()]
    searches = 1 + _count(compressors, asked, names) * len(codec.split(","))
    with searching(dataset, split, searches, what="evaluating", silent=dry_run) as progress:
        opened = open_searched(dataset, sample, progress.reading)
        stored = _stored(
            opened, compressors, names, asked, codec, rescore, oversample, feedback, feedback_weight
        )
        if dry_run:
            pace = measured_searches(opened, stored, split)
            print_ahead(searches_ahead(opened, dataset, pace, written=0), exact=True, as_json=as_json)
            return
        evaluation = score(opened, stored, split=split, progress=progress)
    if as_json:
        typer.echo(json.dumps(evaluation.to_json()))
        return
    from smec.cli.evaluation_tables import print_evaluation

    of_split = "sampled corpus rows" if evaluation.split is None else f"queries of split {evaluation.split!r}"
    typer.echo(f"{evaluation.dataset}: {evaluation.all_documents} documents, {evaluation.queries} {of_split}")
    if evaluation.sample is not None:
        typer.echo(evaluation.sample)
    print_evaluation(evaluation, opened.dim)


def open_searched(dataset: Path, sample: int | None, reading: OnRows, seed: int = 0) -> Dataset:
    """A dataset folder whole, or a sample of its corpus with all judged documents."""
    from smec.data import Dataset
    from smec.data.judged_sample import open_judged_sample

    if sample is None:
        return Dataset.open(dataset, reading=reading)
    return open_judged_sample(dataset, sample, seed=seed, progress=reading)


def _stored(
    opened: Dataset,
    compressors: Sequence[Compressor],
    baselines: Sequence[str],
    asked: tuple[int, ...] | None,
    codec: str,
    rescore: str | None,
    oversample: int,
    feedback: bool,
    feedback_weight: float | None,
) -> list[Encoder]:
    """The compressors and the fitted baselines, with their codecs, and those in two stages."""
    from smec.baselines import fit_baseline
    from smec.codecs import sampled
    from smec.coded import coded
    from smec.evaluation.comparison import check_width

    for compressor in compressors:  # before baselines are fitted to its sizes
        check_width(compressor, opened)
    sizes = asked or _default_sizes(compressors, opened)
    finer = None if rescore is None else _size_and_codec(rescore)
    fitted_sizes = tuple(sorted({*sizes, *([finer[0]] if finer else [])}, reverse=True))
    fitted = [fit_baseline(name, opened, fitted_sizes) for name in baselines]
    encoders: list[Encoder] = [*compressors, *fitted]
    if feedback:
        encoders = [_with_feedback(encoder, opened, feedback_weight) for encoder in encoders]
    vectors = sampled(opened.corpus.vectors, seed=0)  # once for all, as it takes long from a large corpus
    stored = [
        coded(encoder, name.strip(), vectors, asked if place < len(compressors) else sizes)
        for place, encoder in enumerate(encoders)
        for name in codec.split(",")
    ]
    second = [] if finer is None else _two_stage(stored, *finer, oversample, vectors)
    return [*stored, *second]


def _count(compressors: Sequence[Compressor], asked: Sequence[int] | None, baselines: Sequence[str]) -> int:
    """Count sizes that are scored, of compressors and of baselines, which have those of compressors."""
    own = [len(asked or compressor.dims) for compressor in compressors]
    return sum(own) + len(baselines) * max(own, default=len(asked or range(5)))


def _with_feedback(encoder: Encoder, dataset: Dataset, weight: float | None) -> Encoder:
    """The encoder with the feedback of the train split; a baseline's default weight is pca-feedback's."""
    from smec.baselines.pca_feedback import WEIGHT
    from smec.compressor import Compressor
    from smec.feedback import Feedback, chosen_weight
    from smec.with_feedback import WithFeedback

    if isinstance(encoder, WithFeedback):
        return encoder
    if isinstance(encoder, Compressor):
        weight = chosen_weight(encoder.manifest.feedback, weight)
    return WithFeedback(encoder, Feedback.from_dataset(dataset, weight=WEIGHT if weight is None else weight))


def _size_and_codec(text: str) -> tuple[int, str]:
    size, _, codec = text.partition(":")
    dims = parse_dims(size)
    if len(dims) != 1:
        raise ConfigError(f"rescore: {text!r} is not one size and codec; write it as 384:int8")
    return dims[0], codec or "float32"


def _two_stage(
    stored: Sequence[Coded], dim: int, codec: str, oversample: int, vectors: FloatArray
) -> list[Rescored]:
    from smec.codecs import code_bytes
    from smec.coded import coded
    from smec.evaluation.rescoring import Rescored

    limit = code_bytes(codec, dim)
    smaller = [one for one in stored if any(code.code_bytes < limit for code in one.codecs.values())]
    if not smaller:
        raise ConfigError(f"rescore: no code is smaller than {dim} dims as {codec}, {limit} bytes")
    fine = {one.encoder: coded(one.encoder, codec, vectors, [dim]) for one in smaller}
    return [Rescored(one, fine[one.encoder], dim, oversample) for one in smaller]


def _default_sizes(compressors: Sequence[Compressor], dataset: Dataset) -> tuple[int, ...]:
    from smec.encoder import default_dims

    served = sorted({dim for compressor in compressors for dim in compressor.dims}, reverse=True)
    return tuple(served) or default_dims(dataset.dim)
