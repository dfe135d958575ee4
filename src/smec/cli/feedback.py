"""``smec feedback``: judged documents of a compressed output, moved without compressing the others again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smec.cli.options import AsJson, DatasetFolder, FeedbackWeight, Model

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.feedback import Feedback
    from smec.rewriting import Rewritten


def feedback(
    model: Model,
    dataset: DatasetFolder,
    target: Annotated[
        str,
        typer.Argument(
            help="Output of MODEL: a .parquet, .arrow/.feather/.ipc or .npy file, a folder of shards, or the "
            "URL of a collection that `smec migrate` has made.",
            metavar="TARGET",
        ),
    ],
    weight: FeedbackWeight = None,
    as_json: AsJson = False,
) -> None:
    """Move judged documents of a compressed output or collection by the train judgements of DATASET.

    Run it again as new clicks come. Only judged documents are written, from their full vectors in DATASET's
    corpus; all others stay bit for bit. Documents that earlier feedback had moved and that nobody judges any
    more go back. A run that was killed is finished by the same command again.
    """
    from smec.bulk.feedback import update_output
    from smec.compressor import Compressor
    from smec.databases import is_url
    from smec.databases.feedback import update_collection

    compressor = Compressor.load(model)
    moving = read_feedback(compressor, dataset, weight)
    if is_url(target):
        done = update_collection(compressor, moving, dataset, target)
    else:
        done = update_output(compressor, moving, dataset, Path(target))
    typer.echo(json.dumps(asdict(done)) if as_json else _summary(done))


def _summary(done: Rewritten) -> str:
    lines = [
        f"{done.output}: {done.moved:,} of {done.judged:,} judged documents were in it and have moved",
        f"{done.restored:,} documents that nobody judges any more are back where they were",
    ]
    if done.lacking:
        lines.append(
            f"{done.lacking:,} judged documents stay as they were: DATASET's corpus does not have them"
        )
    return "\n".join(lines)


def read_feedback(compressor: Compressor, dataset: Path, weight: float | None) -> Feedback:
    """The feedback of a dataset folder's train split, with the weight of the option or of the compressor.

    Raises
    ------
    ConfigError
        There is no weight, or it is not a number above 0.
    DataError
        The folder has no usable queries and train judgements.
    """
    from smec.feedback import Feedback, chosen_weight

    return Feedback.from_dataset(dataset, weight=chosen_weight(compressor.manifest.feedback, weight))
