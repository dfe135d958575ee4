"""``smec train``: a dataset folder becomes a compressor."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.options import (
    AsJson,
    ConfigFile,
    DryRun,
    Force,
    Output,
    Seed,
    Strict,
    parse_bytes,
    parse_dims,
)
from smec.cli.tables import print_outcome, unmet
from smec.databases import is_url
from smec.databases.address import parse
from smec.errors import ConfigError, GateError

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.config import TrainConfig
    from smec.data import Dataset
    from smec.data.sample import OnRows
    from smec.training.execution import Execution


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="Dataset folder: corpus.parquet (or .npy, .arrow, .jsonl, ...), and where there are any "
            "queries.* and qrels/*.tsv. Or the URL of a collection, as for smec migrate.",
            metavar="DATASET",
        ),
    ],
    output: Output,
    dims: Annotated[
        str | None, typer.Option(help="Sizes to serve, descending: 384,192,96. Default: D/2 to D/32.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="default, or paper: the method as published. Default: default.")
    ] = None,
    unsupervised: Annotated[
        bool,
        typer.Option(
            "--unsupervised",
            help="Train without judgements, on documents and on queries but those of other splits.",
        ),
    ] = False,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="growing: documents will be searched that nobody has judged, and they decide. fixed: the "
            "corpus is judged throughout. Default: growing."
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of further queries that nobody judged, such as a log, or a folder of its Parquet "
            "shards. No ids are needed. With a URL and without --unsupervised: a folder of queries.* and "
            "qrels/train.tsv."
        ),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Train for vectors that are stored so: binary, int4, pq16, ... Default: as floats."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Choose the size and codec that score best in so many bytes per vector: 64B."),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Choose the size and codec of fewest bytes that keep this share of the score: 0.99."
        ),
    ] = None,
    config: ConfigFile = None,
    seed: Seed = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps; auto is a GPU where there is one.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, or bf16: the loss in bfloat16, parameters still in float32.")
    ] = "float32",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training of the same output.")
    ] = False,
    strict: Strict = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a compressor on the embeddings of a dataset folder or of a database.

    Learns from the judgements in qrels/train.tsv, or with --unsupervised from documents and from queries
    without judgements: those that no split but train names, and a log.

    With judgements, train queries are held out together with the documents that they ask for. On such new
    documents a size must not be below PCA, nor significantly below centred PCA, SpecTemp and truncation; over
    all held-out queries it must be better. Else it ships PCA or a better baseline. A map that was
    learned without judgements, or goes on from there, ships too where it keeps enough of the nearest
    neighbours, and judged queries do not put it significantly below PCA.

    Started by torchrun, all its processes train one compressor: torchrun --nproc-per-node 2 -m smec train ...
    """
    from smec.cli.guess import guess_reading, guess_training
    from smec.cli.progress import training_progress
    from smec.config import build_config

    began = time.monotonic()

    def checked() -> TrainConfig:
        _check_places(output, dataset, queries, force=force)
        return build_config(
            preset,
            supervised=False if unsupervised else None,
            file=config,
            dims=None if dims is None else parse_dims(dims),
            corpus=corpus,
            codec=codec,
            budget=None if budget is None else parse_bytes(budget),
            target=target,
            seed=seed,
        )

    # Alone before torch is loaded, which takes seconds; with other processes one of them says what is wrong.
    early = checked() if "RANK" not in os.environ else None
    guess, reading = None, 0.0
    if early and not dry_run and not is_url(dataset):
        guess, reading = guess_training(Path(dataset), early), guess_reading(Path(dataset), early)
    silent = dry_run or os.environ.get("RANK", "0") != "0"
    with ExitStack() as display:
        shown = display.enter_context(training_progress(silent=silent, guess=guess, reading=reading))
        from smec.method.trainer import found
        from smec.method.trainer import train as fit
        from smec.training.checkpoint import discard
        from smec.training.execution import together

        with together(device, precision) as execution:
            settings = early or checked()
            if dry_run:
                _print_ahead(dataset, queries, settings, execution, as_json=as_json)
                return
            state = checkpoint_folder(output) if execution.processes.first or resume else None
            data = _opened(dataset, queries, settings, shown.reading, state, resume)
            compressor = fit(
                data,
                config=settings,
                checkpoint=checkpoint_folder(output),
                resume=resume,
                keep_checkpoint=True,
                progress=shown.training,
                work=shown.work,
                reading=shown.reading,
                execution=execution,
            )
            display.close()
            if not execution.processes.first:
                return
            seconds = time.monotonic() - began
            state = checkpoint_folder(output)
            try:
                finish(
                    compressor,
                    output,
                    strict=strict,
                    force=force,
                    as_json=as_json,
                    seconds=seconds,
                    signals=found(data, settings),
                )
            except GateError:
                discard(state)
                raise
            discard(state)  # not before: an output that cannot be saved must not cost the training
    if not as_json:
        choice = compressor.manifest.choice
        coded = "" if settings.codec is None else f" --codec {settings.codec}"
        if is_url(dataset):
            small = compressor.dims[-1] if choice is None else choice.chosen.dim
            stored = coded if settings.codec == "binary" else ""  # no database holds the others
            # Without its password, where it has one.
            typer.echo(
                f"next:  smec migrate '{parse(dataset)}' TARGET --model {output} --dim {small}{stored}"
            )
            return
        size = "" if choice is not None else f" --dim {compressor.dims[-1]}"
        typer.echo(f"next:  smec evaluate {dataset} --model {output}{coded}")
        typer.echo(f"       smec compress {output} EMBEDDINGS.parquet -o SMALL.parquet{size}{coded}")


def _check_places(output: Path, dataset: str, queries: Path | None, *, force: bool) -> None:
    from smec.atomic import check_folder_name, check_free, check_keeps

    check_free(output, force=force)
    check_folder_name(output)
    check_keeps(output, *([] if is_url(dataset) else [Path(dataset)]), *([queries] if queries else []))


def _print_ahead(
    dataset: str, log: Path | None, config: TrainConfig, execution: Execution, *, as_json: bool
) -> None:
    """Measure a training and say what it would take."""
    from smec.cli.dry_run import print_ahead
    from smec.cli.train_ahead import train_ahead

    if is_url(dataset):
        raise ConfigError("--dry-run measures a dataset folder; a collection would have to be read whole")
    ahead = train_ahead(Path(dataset), log, config, execution)
    if execution.processes.first:
        print_ahead(ahead, exact=False, as_json=as_json)


def _opened(
    dataset: str,
    queries: Path | None,
    settings: TrainConfig,
    reading: OnRows,
    checkpoint: Path | None,
    resume: bool,
) -> Dataset:
    """A folder or a collection, with the log of queries if there is one."""
    from smec.method.trainer import opened

    if not is_url(dataset):
        return opened(dataset, settings, reading, log=queries, checkpoint=checkpoint, resume=resume)
    from smec.data.query_log import holds_dataset
    from smec.databases.training import open_corpus

    log = queries if queries is not None and not (queries.is_dir() and holds_dataset(queries)) else None

    if settings.supervised and (queries is None or log is not None):
        raise ConfigError(
            "a collection holds no judgements: train with --unsupervised, or name a folder of queries.* and "
            "qrels/train.tsv with --queries"
        )
    folder = queries if log is None else None
    return open_corpus(dataset, settings.pool, queries=folder, log=log, seed=settings.seed, progress=reading)


def checkpoint_folder(output: Path) -> Path:
    """Where an interrupted training of ``output`` is kept: beside it."""
    return output.with_name(f"{output.name}.training")


def finish(
    compressor: Compressor,
    output: Path,
    *,
    strict: bool,
    force: bool,
    as_json: bool,
    seconds: float,
    signals: str | None = None,
) -> None:
    """Save a trained compressor and print what its gate measured.

    Raises
    ------
    GateError
        ``strict``, and a size fell back to a baseline or a target is missed: nothing is written.
    """
    if strict and compressor.fallbacks:
        sizes = ", ".join(f"{dim} ({method})" for dim, method in compressor.fallbacks.items())
        raise GateError(
            f"{output}: not written: sizes not better than a baseline: {sizes}; --strict forbids it"
        )
    choice = compressor.manifest.choice
    if strict and choice is not None and not choice.met:
        raise GateError(f"{output}: not written: {unmet(choice)}; --strict forbids it")
    compressor.save(output, force=force)
    if as_json:
        typer.echo(json.dumps(summary(compressor, output, seconds)))
        return
    print_outcome(compressor)
    typer.echo(f"saved: {output} ({', '.join(map(str, compressor.dims))} dims, {seconds:.0f} s)")
    if signals is not None:
        typer.echo(f"found: {signals}")


def summary(compressor: Compressor, output: Path, seconds: float) -> dict[str, object]:
    """Return the JSON of ``smec train`` and ``smec extend``."""
    validation, choice = compressor.manifest.validation, compressor.manifest.choice
    return {
        "model": str(output),
        "dims": list(compressor.dims),
        "validation": None if validation is None else validation.model_dump(mode="json"),
        "choice": None if choice is None else choice.model_dump(mode="json"),
        "fallbacks": dict(compressor.fallbacks),
        "seconds": round(seconds, 3),
    }
