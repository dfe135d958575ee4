"""``smec compress``: a file of embeddings, made smaller."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from smec.bulk.compress import Compressed


def compress(
    model: Annotated[Path, typer.Argument(help="Folder of the compressor.", metavar="MODEL")],
    source: Annotated[
        Path,
        typer.Argument(
            help="Embeddings: .parquet, a folder of Parquet shards, .arrow/.feather/.ipc or .npy.",
            metavar="INPUT",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .parquet, .arrow/.feather/.ipc or .npy.")
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
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Compress a file of embeddings into another file, whatever its size."""
    from smec.bulk.compress import compress as compress_file
    from smec.cli.progress import counted_progress
    from smec.compressor import Compressor

    with counted_progress("rows") as progress:
        compressed = compress_file(
            Compressor.load(model),
            source,
            output,
            dim=dim,
            from_dim=from_dim,
            codec=codec,
            force=force,
            progress=progress,
        )
    typer.echo(_json(compressed) if as_json else _summary(compressed))


def _json(compressed: Compressed) -> str:
    return json.dumps({**asdict(compressed), "output": str(compressed.output)})


def _summary(compressed: Compressed) -> str:
    before, after = compressed.input_bytes_per_vector, compressed.bytes_per_vector
    return (
        f"{compressed.output}: {compressed.rows:,} rows of {compressed.dim} dims ({compressed.codec}), "
        f"from {compressed.input_dim}\n"
        f"{before:,} -> {after:,} bytes per vector: {before / after:.1f} times smaller"
    )
