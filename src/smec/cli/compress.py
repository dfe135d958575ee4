"""``smec compress``: embeddings in files, made smaller."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smec.cli.dry_run import Ahead, peak_memory, print_ahead, since_start
from smec.cli.options import DryRun, FeedbackWeight
from smec.errors import ConfigError, IncompleteError, SmecError

if TYPE_CHECKING:
    from smec.bulk.compress import Compressed, FileJob
    from smec.bulk.sharded import Sharded
    from smec.compressor import Compressor


def compress(
    model: Annotated[Path, typer.Argument(help="Folder of the compressor.", metavar="MODEL")],
    source: Annotated[
        str,
        typer.Argument(
            help="Embeddings: .parquet, .arrow/.feather/.ipc or .npy; a folder of such files, or a quoted "
            "glob; here or in a store (s3://bucket/prefix).",
            metavar="INPUT",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .parquet, .arrow/.feather/.ipc or .npy; or a folder for Parquet shards; "
            "here or in a store.",
        ),
    ],
    dim: Annotated[
        int | None,
        typer.Option(
            help="Size to write. Default: what MODEL's budget or target chose, else the largest; with "
            "--from-dim the smallest."
        ),
    ] = None,
    from_dim: Annotated[
        int | None, typer.Option(help="The input was already compressed to this size by MODEL.")
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="How a vector is stored: float32, float16, or what MODEL is calibrated for. Default: what "
            "MODEL's budget or target chose for that size, else float32."
        ),
    ] = None,
    feedback: Annotated[
        Path | None,
        typer.Option(
            help="Dataset folder whose train judgements move documents towards the queries that they answer; "
            "its corpus is not read.",
            metavar="DATASET",
        ),
    ] = None,
    feedback_weight: FeedbackWeight = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes, for a folder; each has its share of the cores, on Ray one core of the cluster.",
            min=1,
        ),
    ] = 1,
    engine: Annotated[
        str,
        typer.Option(
            help="What runs the processes, for a folder: local, this machine; or ray, the Ray cluster that "
            "RAY_ADDRESS names or that runs here."
        ),
    ] = "local",
    rows_per_shard: Annotated[
        int | None, typer.Option(help="Rows of a shard at most, for a folder. Default: 262144.", min=1)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Finish a folder that an earlier run began; its shards are verified."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")] = False,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Compress embeddings of any number into a file, or into a folder of shards.

    A folder is written shard by shard: what kills the run costs the shards at work, and --resume makes
    what is missing. A shard whose rows cannot be read is left out and reported with exit code 4; the
    others go on, and --resume tries it again.

    Rows are compressed as documents. Where queries have a matrix of their own, encode those from Python by
    `encode_queries`, or with `smec serve`.
    """
    from smec.bulk.compress import prepare
    from smec.bulk.formats import FORMATS
    from smec.cli.feedback import read_feedback
    from smec.cli.progress import counted_progress
    from smec.compressor import Compressor
    from smec.data.places import located

    compressor = Compressor.load(model)
    if feedback is None and feedback_weight is not None:
        raise ConfigError("--feedback-weight is for --feedback; name the dataset folder with the judgements")
    moving = None if feedback is None else read_feedback(compressor, feedback, feedback_weight)
    chosen: dict[str, Any] = {"dim": dim, "from_dim": from_dim, "codec": codec, "feedback": moving}
    if located(output).suffix in FORMATS:
        if workers > 1 or engine != "local" or rows_per_shard or resume:
            raise ConfigError(
                f"{output}: --workers, --engine, --rows-per-shard and --resume are for a folder of shards; "
                "name one"
            )
        from smec.bulk.compress import compress as compress_file

        if dry_run:
            job = prepare(compressor, source, output, **chosen, force=force)
            print_ahead(_ahead(job, job.opened.rows, source), exact=True, as_json=as_json)
            return
        with counted_progress("rows", _bytes_of(source), what="compressing") as progress:
            compressed = compress_file(
                compressor,
                source,
                output,
                **chosen,
                force=force,
                progress=progress,
            )
        typer.echo(_json(compressed) if as_json else _summary(compressed) + _told(compressor, compressed))
        return
    from smec.bulk.plan import ROWS_PER_SHARD, prepare_shards
    from smec.bulk.sharded import compress_shards

    run: dict[str, Any] = {
        **chosen,
        "workers": workers,
        "engine": engine,
        "rows_per_shard": rows_per_shard or ROWS_PER_SHARD,
        "resume": resume,
        "force": force,
    }
    if dry_run:
        folder, inputs, plan = prepare_shards(compressor, source, output, **run)
        job = prepare(compressor, inputs[0], folder / plan.pieces[0].file, **chosen, force=True)
        print_ahead(_ahead(job, plan.rows, source), exact=True, as_json=as_json)
        return
    # Ray prints to stdout what died in its cluster.
    with (
        counted_progress("rows", _bytes_of(source), what="compressing", from_first=resume) as progress,
        redirect_stdout(sys.stderr),
    ):
        sharded = compress_shards(
            compressor,
            source,
            output,
            **run,
            progress=progress,
        )
    typer.echo(_json(sharded) if as_json else _shards(sharded) + _told(compressor, sharded))
    _check_complete(sharded)


def _ahead(job: FileJob, rows: int, source: str) -> Ahead:
    """Measure a compression on its first blocks."""
    from smec.bulk.rehearsal import rehearse

    pace = rehearse(job)
    return Ahead(
        rows=rows,
        width=job.width,
        queries=None,
        bytes_in=_bytes_of(source) or 0,
        bytes_out=rows * job.stored.code_bytes,
        memory=peak_memory(),
        seconds=since_start() + pace.seconds_of(rows),
        measured=f"the first {pace.first_rows + pace.rows:,} rows, by one process",
    )


def _bytes_of(source: str) -> int | None:
    """Of all its files; None where that cannot be told, which the compression itself will say."""
    from smec.bulk.pieces import find_inputs
    from smec.data.places import located

    try:
        return sum(file.stat().st_size for file in find_inputs(located(source)))
    except (SmecError, OSError):
        return None


def _check_complete(sharded: Sharded) -> None:
    for failure in sharded.failures:
        typer.echo(f"warning: shard {failure.number}: {failure.error}", err=True)
    if sharded.failures:
        count = len(sharded.failures)
        raise IncompleteError(
            f"{sharded.output}: {count} shards are missing; repair their inputs, with the rows that they "
            "had, and finish with --resume"
        )


def _json(compressed: Compressed | Sharded) -> str:
    # `dict` is for failures, which are no dataclasses.
    return json.dumps({**asdict(compressed), "output": str(compressed.output)}, default=dict)


def _summary(compressed: Compressed) -> str:
    before, after = compressed.input_bytes_per_vector, compressed.bytes_per_vector
    return (
        f"{compressed.output}: {compressed.rows:,} rows of {compressed.dim} dims ({compressed.codec}), "
        f"from {compressed.input_dim}\n"
        f"{before:,} -> {after:,} bytes per vector: {before / after:.1f} times smaller"
    )


def _shards(sharded: Sharded) -> str:
    reused = f", {sharded.reused} of them from before" if sharded.reused else ""
    return (
        f"{sharded.output}: {sharded.rows:,} rows of {sharded.dim} dims ({sharded.codec}, "
        f"{sharded.bytes_per_vector:,} bytes) in {sharded.shards} shards{reused}"
    )


def _told(compressor: Compressor, compressed: Compressed | Sharded) -> str:
    """Lines on feedback, and on the side that was made where there are two."""
    lines = ""
    if compressed.dim in compressor.own_queries:
        lines += "\nas documents; queries have a matrix of their own: `encode_queries` makes them"
    if compressed.moved is not None:
        lines += (
            f"\nfeedback: {compressed.moved:,} of {compressed.judged:,} judged documents were in the input "
            "and have moved"
        )
    return lines
