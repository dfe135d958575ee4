"""The formats that compressed vectors are written in: a suffix, and the module that writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from smec.codecs import Codes
from smec.data.blocks import Source

FORMATS = {
    ".parquet": "smec.bulk.parquet",
    ".arrow": "smec.bulk.arrow",
    ".feather": "smec.bulk.arrow",
    ".ipc": "smec.bulk.arrow",
    ".npy": "smec.bulk.npy",
}
"""Suffix -> module that writes it, a `Format`; imported when a file of the kind is written."""

Write = Callable[[Sequence[pa.Array], Codes], None]
"""Appends codes, a row each, with the `Block.columns` of the same rows to an output."""


class Format(Protocol):
    """What the module of a file format offers."""

    def writing(
        self, output: Path, source: Source, schema: pa.Schema, *, force: bool
    ) -> AbstractContextManager[Write]:
        """Write ``output`` with the columns of ``schema``, whole or not at all; OutputError if refused."""


def format_of(suffix: str) -> Format:
    """The module that writes files of a kind, one of `FORMATS`."""
    module: Format = import_module(FORMATS[suffix])
    return module
