"""Output of ``--dry-run``: rows, bytes, memory and time of a run that does not take place."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from smec.cli.estimate import in_words

STARTED = time.monotonic()
"""Moment when the program was loaded."""


@dataclass(frozen=True)
class Ahead:
    """Cost of a run, before it takes place.

    Parameters
    ----------
    rows, width : int
        Vectors that are read, and their dims.
    queries : int or None
        Queries that are learned from, or searched for; None where there are none to count.
    bytes_in : int
        Bytes of the files that are read.
    bytes_out : int
        Bytes of what is written: of vectors alone, or about those of a compressor or a page.
    memory : int or None
        Bytes that the process needs at its peak, as measured; None where the system does not say.
    seconds : float
        Time from the start of the command, as measured on a part.
    measured : str
        What the time was measured on.
    """

    rows: int
    width: int
    queries: int | None
    bytes_in: int
    bytes_out: int
    memory: int | None
    seconds: float
    measured: str


def print_ahead(ahead: Ahead, *, exact: bool, as_json: bool) -> None:
    """Print what a run would take, as text or as one JSON object; ``exact`` is said of the bytes written."""
    if as_json:
        typer.echo(json.dumps({"dry_run": True, **asdict(ahead), "seconds": round(ahead.seconds, 1)}))
        return
    queries = f", {ahead.queries:,} queries" if ahead.queries else ""
    memory = "memory: not known here" if ahead.memory is None else f"memory: about {size(ahead.memory)}"
    typer.echo(f"rows: {ahead.rows:,} of {ahead.width:,} dims{queries}")
    out = f"{'' if exact else 'about '}{size(ahead.bytes_out)}"
    typer.echo(f"bytes: {size(ahead.bytes_in)} in, {out} out")
    typer.echo(memory)
    typer.echo(f"time: {in_words(ahead.seconds)}, measured on {ahead.measured}")
    typer.echo("dry run: nothing was written")


def size(count: int) -> str:
    """Write bytes as a person would: "16.4 MB"."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:,} bytes"


def bytes_of(paths: Iterable[Path]) -> int:
    """Bytes of files, and of all files in folders."""
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    return sum(file.stat().st_size for file in files if file.is_file())


def since_start() -> float:
    """Seconds that this process has taken up to now: what every command takes before it works."""
    return time.monotonic() - STARTED


def peak_memory() -> int | None:
    """Bytes that this process has held at its peak; None where the system does not say."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
