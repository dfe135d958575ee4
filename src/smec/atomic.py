"""Outputs that appear whole or not at all: write a sibling, flush it, rename it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smec.errors import OutputError


@contextmanager
def replacing(path: Path, *, force: bool = False, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that takes its name when the block ends well.

    Parameters
    ----------
    path : Path
        The final name, a file or (``folder=True``) a folder.
    force : bool
        Replace what is there already.
    folder : bool
        Yield an existing empty folder rather than the name of a file to be.

    Raises
    ------
    OutputError
        ``path`` exists and ``force`` is not set, it is a folder where a file shall be, or the
        disk refuses (full, read-only, no permission). Whatever else ends the block, nothing is left behind.
    """
    check_free(path, force=force)
    if os.path.isdir(path) and not folder:  # replacing it would delete all that it holds
        raise OutputError(f"{path}: is a folder; name a file")
    if folder:
        check_folder_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    part = scratch / path.name
    try:
        if folder:
            part.mkdir()
        yield part
        for file in [p for p in part.rglob("*") if p.is_file()] if folder else [part]:
            _flush(file)
        _renamed(part, path, scratch / "replaced")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _renamed(part: Path, path: Path, aside: Path) -> None:
    """Give ``part`` its name; what has that name stays if it cannot be done."""
    if path.is_dir():
        os.replace(path, aside)  # a folder cannot be renamed over another
    try:
        os.replace(part, path)
    except BaseException:
        if os.path.lexists(aside) and not os.path.lexists(path):
            os.replace(aside, path)
        raise


def check_folder_name(path: Path) -> None:
    """Raise OutputError where a folder is to be written and a file has its name."""
    if os.path.lexists(path) and not path.is_dir():
        raise OutputError(f"{path}: is a file; name a folder")


def check_free(path: Path, *, force: bool) -> None:
    """Raise OutputError when ``path`` exists and ``force`` is not set, or has no name of its own (``.``)."""
    if not path.name:
        raise OutputError(f"{path}: is no name for an output; name a file or folder")
    if os.path.lexists(path) and not force:
        raise OutputError(f"{path}: exists already; name another output, or replace it with --force")


def check_keeps(output: Path, *inputs: Path) -> None:
    """Raise OutputError when replacing ``output`` would delete one of ``inputs``."""
    place = output.resolve()
    for path in inputs:
        if place in ((resolved := path.resolve()), *resolved.parents):
            raise OutputError(f"{output}: is or holds {path}, which is needed; name another output")


def _flush(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
