"""What a database offers to migration and training: one small protocol, and what passes through it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from smec.codecs import Codes
from smec.errors import DatabaseError, DataError
from smec.feedback import FeedbackStamp
from smec.vectors import FloatArray

Id = int | str
Payload = Mapping[str, Any]
"""What a row has beside its id and its vector."""

PAGE_ROWS = 2048
"""Rows read, and rows written, together."""

SQL = b"sql"
"""Key of a field's metadata that tells its PostgreSQL type, where it comes from there."""


@dataclass(frozen=True)
class Shape:
    """What a collection holds.

    Parameters
    ----------
    dim : int
        Width of its vectors.
    vector : str
        Name of their column.
    id : pyarrow.Field
        int64 or string.
    columns : pyarrow.Schema, optional
        Of the payload; None where every row may have fields of its own.
    """

    dim: int
    vector: str
    id: pa.Field
    columns: pa.Schema | None = None


@dataclass(frozen=True)
class Page:
    """Some rows: n ids, their vectors or codes of shape (n, w), and n payloads."""

    ids: Sequence[Id]
    vectors: FloatArray | Codes
    payload: Sequence[Payload]

    def only(self, rows: Sequence[int]) -> Page:
        """These of its rows."""
        return Page([self.ids[r] for r in rows], self.vectors[list(rows)], [self.payload[r] for r in rows])


@dataclass(frozen=True)
class Size:
    """Bytes on disk, of the whole collection and of the index of its vectors; None: it does not tell."""

    whole: int | None
    index: int | None


class Stamp(BaseModel):
    """Which vectors are in a collection: kept with it, as a comment or as metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """Fingerprint of the compressor."""
    dim: int
    codec: str
    calibration: str | None = None
    """Hash of the codec's calibration, if it has one."""
    source: str
    """The collection that it was made from."""
    vector: str
    id: str
    """Names of the columns, where a collection has columns."""
    free: bool = False
    """Whether rows of the source have fields of their own: a table holds them as JSON in one column."""
    feedback: FeedbackStamp | None = None
    """The feedback that has moved documents."""


class Collection(Protocol):
    """A collection of a database, there already or to be made; its connection is open.

    Every method raises DatabaseError when the database refuses or does not answer.
    """

    name: str
    codecs: tuple[str, ...]
    """Names of the codecs that it can hold."""

    def shape(self) -> Shape | None:
        """What it holds, None if there is no such collection; DataError if that cannot be used."""

    def count(self) -> int:
        """Rows that are there now."""

    def stamp(self) -> Stamp | None:
        """What `create` left, None in a collection that something else has made."""

    def pages(self, rows: int) -> Iterator[Page]:
        """All rows once, in an order that stays the same, at most ``rows`` together."""

    def fetch(self, ids: Sequence[Id]) -> FloatArray | Codes:
        """The vectors or codes of these ids, in their order; DataError where one is missing."""

    def existing(self, ids: Sequence[Id]) -> list[bool]:
        """Which of the ids are there."""

    def create(self, like: Shape, stamp: Stamp) -> None:
        """Make it, empty, for the rows of a collection as ``like`` with other vectors."""

    def write(self, page: Page) -> None:
        """Add rows whose ids are not there yet."""

    def replace(self, ids: Sequence[Id], vectors: FloatArray | Codes) -> None:
        """Give rows that are there, once each, other vectors or codes; their payload stays as it is."""

    def restamp(self, stamp: Stamp) -> None:
        """Keep this stamp in the place of the one that there is."""

    def build_index(self) -> None:
        """Index the vectors as the database usually does it, if that has not been done."""

    def search(self, query: FloatArray | Codes, k: int) -> list[str]:
        """Ids, as strings, of the ``k`` nearest rows by the index there is."""

    def size(self) -> Size:
        """What it takes on disk."""


@contextmanager
def asking(name: str, *refusals: type[Exception]) -> Iterator[None]:
    """Turn what a client raises into a DatabaseError of one line."""
    refused: tuple[type[Exception], ...] = (*refusals, OSError)
    try:
        yield
    except refused as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatabaseError(f"{name}: the database refuses or is lost: {reason}") from error


def read_stamp(text: str, name: str) -> Stamp:
    """The stamp in what a collection has kept; DataError if it is none."""
    try:
        return Stamp.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{name}: its stamp is damaged, or of another version of smec") from error


def chosen(wanted: str | None, candidates: Sequence[str], what: str, name: str) -> str:
    """The column ``wanted``, or the only candidate.

    Raises
    ------
    DataError
        There is none or not the wanted one, or several and none is wanted; names them.
    """
    option = "vector" if what == "vectors" else "id"
    named = ", ".join(candidates) or "none"
    if wanted is not None:
        if wanted not in candidates:
            raise DataError(f"{name}: has no column {wanted!r} of {what}; it has {named}")
        return wanted
    if not candidates:
        raise DataError(f"{name}: has no {what}, so there is nothing to read; name another collection")
    if len(candidates) > 1:
        raise DataError(f"{name}: has several columns of {what} ({named}); choose with ?{option}=COLUMN")
    return candidates[0]


class JsonText(str):
    """A value as the JSON that a database has of it, to be written as it is or read by `plain`."""

    __slots__ = ()


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: bytes as base64, dates, decimals and the like as strings."""
    if isinstance(value, JsonText):
        return json.loads(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
