"""``smec verify``: whether a compressor is whole, and embeddings are those it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smec.cli.options import Model
from smec.errors import ArtefactError, ConfigError


def verify(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Embeddings to compare with those it was trained on: .parquet, .arrow, .npy, ..., or a "
            "folder of Parquet shards."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Read all rows of --data, not a sample.")] = False,
) -> None:
    """Check a compressor's hash and canaries, and optionally embeddings.

    Exits with 2 if a check fails. With --data, rows that bear a canary's id must still have its
    embedding; without such rows only the mean direction is compared, a weak check. The ids of all rows are
    looked at, but vectors only in a sample of the rows, and where a canary's are; the output says how many.
    """
    from smec.cli.progress import counted_progress
    from smec.compressor import Compressor
    from smec.data.readers import read_vectors
    from smec.data.some_rows import can_be_sampled
    from smec.verification import verify as check

    if everything and data is None:
        raise ConfigError("--all is for --data")
    compressor = Compressor.load(model)
    looked_at = data if data is None or can_be_sampled(data) else read_vectors(data)
    with counted_progress("rows", what="verifying") as progress:
        checks = check(compressor, looked_at, everything=everything, progress=progress)
    typer.echo(f"ok    hash: the tensors have sha256 {compressor.manifest.tensors_sha256}")
    for one in checks:
        typer.echo(f"{'ok   ' if one.passed else 'FAIL '} {one.name}: {one.detail}")
    failed = [one for one in checks if not one.passed]
    if failed:
        raise ArtefactError(f"{model}: {failed[0].name}: {failed[0].detail}")
