"""The formats that compressed vectors are written in: a suffix, and the module that writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from smec.codecs import Codes
from smec.data.blocks import Source

Write = Callable[[Sequence[pa.Array], Codes], None]
"""Appends codes, a row each, with the `Block.columns` of the same rows to an output."""


class Format(Protocol):
    """What the module of a file format offers."""

    def writing(
        self, output: Path, source: Source, schema: pa.Schema, *, force: bool
    ) -> AbstractContextManager[Write]:
        """Write ``output`` with the columns of ``schema``, whole or not at all; OutputError if refused."""
