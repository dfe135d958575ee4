"""``smec export``: a size of a compressor for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from smec.cli.options import Force, Model
from smec.errors import ConfigError
from smec.export import TARGETS, InputType

INPUT_TYPES = ("float32", "float16")


def export(
    model: Model,
    to: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File (onnx, torchscript) or folder (the others) to write."),
    ],
    dim: Annotated[int | None, typer.Option(help="Size to export. Default: the largest.")] = None,
    codec: Annotated[
        str, typer.Option(help="What comes out: float32, or a code that MODEL is calibrated for.")
    ] = "float32",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of the embedding model that made the vectors, for sentence-transformers."
        ),
    ] = None,
    input_type: Annotated[
        str, typer.Option(help="float32 or float16: the embeddings that an ONNX graph takes.")
    ] = "float32",
    force: Force = False,
) -> None:
    """Write a size of a compressor for numpy, ONNX, TorchScript, faiss or sentence-transformers.

    What is written needs nothing of smec. It agrees with `encode` to 1e-5, but does not refuse rows with
    NaN, Inf or only zeros. Where queries have a matrix of their own, a second file for them is written beside
    a file, and a folder holds both.
    """
    from smec.atomic import check_keeps
    from smec.compressor import Compressor
    from smec.export import export as write
    from smec.export import queries_file

    if input_type not in INPUT_TYPES:
        raise ConfigError(f"input type {input_type!r} is not known; use {' or '.join(INPUT_TYPES)}")
    check_keeps(output, model)
    order = write(
        Compressor.load(model),
        to,
        output,
        dim=dim,
        codec=codec,
        encoder=encoder,
        input_type=cast("InputType", input_type),
        force=force,
    )
    for line in order.in_words():
        typer.echo(line)
    typer.echo(f"saved: {output}")
    if order.own_queries and not TARGETS[to].folder:
        typer.echo(f"saved: {queries_file(output)}, for queries")
