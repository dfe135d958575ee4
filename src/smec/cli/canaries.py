"""``smec canaries``: texts whose embeddings tell whether an embedding model is still the same."""

from __future__ import annotations

from typing import Annotated

import typer

from smec.cli.options import DatasetFolder, Force, Model, Output


def canaries(
    model: Model,
    dataset: DatasetFolder,
    output: Output,
    queries: Annotated[
        bool, typer.Option("--queries", help="Take queries in place of documents as canaries.")
    ] = False,
    force: Force = False,
) -> None:
    """Store canary texts in a compressor, for `smec serve` to watch its upstream with.

    They are kept in the compressor as they are, and sent to the upstream at every check: choose a
    dataset whose texts may be. Texts must be exactly those that were embedded, prompts included.
    """
    from smec.atomic import check_folder_name, check_free, check_keeps
    from smec.canaries import with_canary_texts
    from smec.compressor import Compressor
    from smec.data import Dataset

    check_free(output, force=force)
    check_folder_name(output)
    check_keeps(output, dataset)
    renewed = with_canary_texts(Compressor.load(model), Dataset.open(dataset), queries=queries)
    renewed.save(output, force=force)
    count = len(renewed.manifest.canary_texts)
    typer.echo(f"saved: {output} with {count} canary texts: " + ", ".join(renewed.manifest.canary_ids))
