"""``smec adapt``: queries of a released compressor learn, and its index stays."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from smec.cli.options import AsJson, ConfigFile, DatasetFolder, Force, Model, Output, Seed
from smec.cli.tables import print_adaptation
from smec.errors import GateError

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.config import CorpusKind


def adapt(
    model: Model,
    dataset: DatasetFolder,
    output: Output,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="File of further queries that nobody judged, such as a log, or a folder of its Parquet "
            "shards. No ids are needed."
        ),
    ] = None,
    unsupervised: Annotated[
        bool,
        typer.Option(
            "--unsupervised",
            help="Learn without judgements, from queries but those of other splits, and from --queries.",
        ),
    ] = False,
    corpus: Annotated[
        str | None,
        typer.Option(help="growing or fixed, as for smec train. Default: what MODEL was trained with."),
    ] = None,
    config: ConfigFile = None,
    seed: Seed = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Write nothing and exit with 3 if a size stays as it was."),
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Learn from new judgements or a log of queries without a new index: stored vectors stay valid.

    Queries get a matrix of their own; that of documents keeps its bits. The dataset has the full-size
    embeddings of documents and queries. Nothing has to be compressed again.

    Train queries are held out together with the documents that they ask for. Sizes that are stored as
    prefixes of one another get the new matrix together, if it is not below what they had on such new
    documents, and significantly better over all held-out queries. Else they stay as they were: a warning
    says so.
    """
    from smec.atomic import check_folder_name, check_free, check_keeps
    from smec.cli.progress import training_progress
    from smec.compressor import Compressor
    from smec.method.adaptation import adapt as fit
    from smec.method.adaptation import adaptation_config
    from smec.method.trainer import opened

    check_free(output, force=force)
    check_folder_name(output)
    check_keeps(output, dataset, model, *([queries] if queries else []))
    began = time.monotonic()
    before = Compressor.load(model)
    kind = cast("CorpusKind | None", corpus)  # the configuration checks it
    settings = adaptation_config(before, supervised=not unsupervised, corpus=kind, seed=seed, file=config)
    with training_progress(what="adapting") as shown:
        data = opened(dataset, settings, shown.reading, log=queries)
        adapted = fit(before, data, config=settings, progress=shown.training, work=shown.work)
    _check_strict(adapted, output, strict=strict)
    adapted.save(output, force=force)
    seconds = time.monotonic() - began
    if as_json:
        typer.echo(json.dumps(_summary(adapted, output, seconds)))
        return
    record = adapted.manifest.adaptations[-1]
    print_adaptation(record)
    typer.echo(f"saved: {output} ({seconds:.0f} s)")
    typer.echo(f"found: {record.learned_from}")
    typer.echo(f"stored vectors stay valid: fingerprint {adapted.fingerprint[:12]} as before")
    typer.echo(f"next:  smec evaluate {dataset} --model {output} --model {model}")


def _check_strict(adapted: Compressor, output: Path, *, strict: bool) -> None:
    kept = adapted.manifest.adaptations[-1].kept
    if strict and kept:
        sizes = ", ".join(map(str, kept))
        raise GateError(f"{output}: not written: sizes that stay as they were: {sizes}; --strict forbids it")


def _summary(adapted: Compressor, output: Path, seconds: float) -> dict[str, object]:
    return {
        "model": str(output),
        "dims": list(adapted.dims),
        "own_queries": list(adapted.own_queries),
        "fingerprint": adapted.fingerprint,
        "query_fingerprint": adapted.query_fingerprint,
        "adaptation": adapted.manifest.adaptations[-1].model_dump(mode="json"),
        "seconds": round(seconds, 3),
    }
