"""Outputs in a store: written here, then put there whole, and read back."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smec.data.places import Location, Place, reason
from smec.errors import OutputError

PART = 8 << 20
"""Bytes that are read together; from a store, by one request."""


@contextmanager
def here(output: Location, *, force: bool = True) -> Iterator[Path]:
    """Yield where to write ``output``: itself, or for a place in a store a file that is uploaded at the end.

    What is beside that file, such as ids beside vectors, is uploaded before it.

    Raises
    ------
    OutputError
        The store refuses, or holds something else afterwards; or without ``force`` the output exists there.
    """
    if isinstance(output, Path):
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="smec-") as folder:
        file = Path(folder) / output.name
        yield file
        for each in sorted(Path(folder).iterdir(), key=lambda child: child == file):
            _upload(each, output.with_name(each.name), force=force)


def _upload(file: Path, place: Place, *, force: bool) -> None:
    try:
        if not force and place.exists():
            raise OutputError(f"{place}: exists already; name another output, or replace it with --force")
        place.upload(file)
        same = file_sha256(place) == file_sha256(file)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written: {reason(error)}") from error
    if not same:
        raise OutputError(f"{place}: the store holds other bytes than were sent; try again with --resume")


def file_sha256(file: Location) -> str:
    """Of the whole file."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(PART):
            digest.update(part)
    return digest.hexdigest()
