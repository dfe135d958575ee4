"""``smec calibrate``: more ways to store a compressor's vectors."""

from __future__ import annotations

from typing import Annotated

import typer

from smec.cli.options import DatasetFolder, Force, Model, Output, parse_dims


def calibrate(
    model: Model,
    dataset: DatasetFolder,
    output: Output,
    codec: Annotated[
        str,
        typer.Option(help="Codecs to add, by commas: int8, int4, binary, itq, pqN, opqN (N bytes), rabitq."),
    ],
    dims: Annotated[
        str | None, typer.Option(help="Sizes to calibrate for. Default: all that it serves.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of codebooks and random rotations.", min=0)] = 0,
    force: Force = False,
) -> None:
    """Calibrate codecs on the corpus of a dataset folder; vectors that were made before stay valid.

    Training calibrates int8, int4 and binary by itself.
    """
    from smec.atomic import check_folder_name, check_free, check_keeps
    from smec.calibration import calibrate as add_codecs
    from smec.codecs import MOST_ROWS
    from smec.compressor import Compressor
    from smec.data.sample import open_sample

    check_free(output, force=force)
    check_folder_name(output)
    check_keeps(output, dataset)
    compressor = Compressor.load(model)
    vectors = open_sample(dataset, MOST_ROWS, seed=seed, split=None).corpus.vectors
    names = [name.strip() for name in codec.split(",") if name.strip()]
    sizes = None if dims is None else parse_dims(dims)
    calibrated = add_codecs(compressor, vectors, names, dims=sizes, seed=seed)
    calibrated.save(output, force=force)
    for dim, known in calibrated.codecs.items():
        typer.echo(f"{dim}: {', '.join(known)}")
