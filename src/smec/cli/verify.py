"""``smec verify``: whether a compressor is whole, and embeddings are those it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smec.cli.options import Model
from smec.errors import ArtefactError


def verify(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(help="Embeddings to compare with those it was trained on: .parquet, .arrow, .npy, ..."),
    ] = None,
) -> None:
    """Check a compressor's hash and canaries, and optionally a file of embeddings.

    Exits with 2 if a check fails. With --data, rows that bear a canary's id must still have its
    embedding; without such rows only the mean direction is compared, a weak check.
    """
    from smec.compressor import Compressor
    from smec.data.readers import read_vectors
    from smec.verification import verify as check

    compressor = Compressor.load(model)
    embeddings = None if data is None else read_vectors(data)
    typer.echo(f"ok    hash: the tensors have sha256 {compressor.manifest.tensors_sha256}")
    checks = check(compressor, embeddings)
    for one in checks:
        typer.echo(f"{'ok   ' if one.passed else 'FAIL '} {one.name}: {one.detail}")
    failed = [one for one in checks if not one.passed]
    if failed:
        raise ArtefactError(f"{model}: {failed[0].name}: {failed[0].detail}")
