"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smec.errors import ConfigError

DatasetFolder = Annotated[
    Path,
    typer.Argument(
        help="Dataset folder: corpus.parquet (or .npy, .arrow, .jsonl, ...), and where there are any "
        "queries.* and qrels/*.tsv.",
        metavar="DATASET",
    ),
]
Model = Annotated[Path, typer.Argument(help="Folder of the compressor.", metavar="MODEL")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the compressor to write.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="JSON file of configuration fields, laid over the preset.")
]
Seed = Annotated[int | None, typer.Option(help="Of everything random. Default: the configuration's, 0.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Write nothing and exit with 3 if a size fell back to a baseline.")
]
FeedbackWeight = Annotated[
    float | None,
    typer.Option(
        "--feedback-weight",
        help="How far judged documents move: 0.5, 1 or 2. Default: what training chose for MODEL.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only say rows, width, bytes, memory and time, measured on a small part; nothing is written.",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        help="Search only so many documents, drawn at random beside all judged ones: scores are then too "
        "high, as fewer documents compete, and methods seem closer to each other than they are.",
        min=1,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def parse_bytes(text: str) -> int:
    """``"64B"`` or ``"64"`` as 64.

    Raises
    ------
    ConfigError
        Not a whole number of bytes from 1 up.
    """
    number = text.strip().removesuffix("B")
    if not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise ConfigError(f"budget: {text!r} is not a number of bytes; write it as 64B")
    return int(number)


def parse_dims(text: str) -> tuple[int, ...]:
    """``"384,192"`` as ``(384, 192)``.

    Raises
    ------
    ConfigError
        Something between the commas is not a whole number from 1 up.
    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal() and int(part) > 0):
            raise ConfigError(f"dims: {part!r} is not a size; write sizes as 384,192,96")
    return tuple(int(part) for part in parts)
