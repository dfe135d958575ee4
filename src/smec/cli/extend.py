"""``smec extend``: a released compressor gets one size more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from smec.cli.options import AsJson, ConfigFile, DatasetFolder, Force, Model, Output, Seed, Strict
from smec.cli.train import finish

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.config import Preset, TrainConfig


def extend(
    model: Model,
    dataset: DatasetFolder,
    output: Output,
    dim: Annotated[int, typer.Option(help="The size to add, below the smallest served one.")],
    config: ConfigFile = None,
    seed: Seed = None,
    strict: Strict = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Add a smaller size to a compressor; the vectors it made before stay valid.

    The new size is made from stored vectors of the smallest size, so that nothing needs to be
    embedded or compressed again.
    """
    from smec.atomic import check_folder_name, check_free, check_keeps
    from smec.cli.progress import training_progress
    from smec.compressor import Compressor
    from smec.method.extension import extend as add_size

    check_free(output, force=force)
    check_folder_name(output)
    check_keeps(output, dataset)
    compressor = Compressor.load(model)
    settings = None if config is None else _settings(compressor, config)
    began = time.monotonic()
    with training_progress(what="extending") as shown:
        extended = add_size(
            compressor,
            dataset,
            dim,
            config=settings,
            seed=seed,
            progress=shown.training,
            work=shown.work,
            reading=shown.reading,
        )
    finish(extended, output, strict=strict, force=force, as_json=as_json, seconds=time.monotonic() - began)


def _settings(compressor: Compressor, file: Path) -> TrainConfig:
    from smec.config import build_config

    preset = cast("Preset", compressor.manifest.preset)
    return build_config(preset, supervised=compressor.manifest.supervised, file=file)
