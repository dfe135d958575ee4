"""The file of train judgements: new rows behind those that are there, in the format that it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smec.atomic import replacing
from smec.data.folder import find_qrels
from smec.data.qrels import HEADER
from smec.errors import DataError, OutputError
from smec.judging.questions import TRAIN

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Row:
    """One judgement."""

    query: str
    document: str
    grade: int


@dataclass(frozen=True)
class TrainFile:
    """The qrels of the train split, as they were when it was opened.

    Parameters
    ----------
    path : Path
        ``qrels/train.tsv``, or the split's file of another name.
    content : bytes, optional
        None where there is no such file.
    """

    path: Path
    content: bytes | None

    @classmethod
    def open(cls, folder: Path) -> TrainFile:
        """Find the file in a dataset folder.

        Raises
        ------
        DataError
            Two files for one split, or it cannot be read.
        """
        path = find_qrels(folder).get(TRAIN, folder / "qrels" / f"{TRAIN}.tsv")
        return cls(path, _content(path))

    @property
    def trec(self) -> bool:
        """The file has TREC's four columns, not BEIR's three."""
        first = next((line for line in (self.content or b"").splitlines() if line.strip()), None)
        return first is not None and first.removeprefix(BOM).decode().split("\t") != HEADER

    def check_ids(self, ids: Sequence[str]) -> None:
        """Raise DataError where an id would break a row."""
        breaking = re.compile(r"\s" if self.trec else r"[\t\r\n]")
        for id_ in ids:
            if not id_ or breaking.search(id_) or not _encodable(id_):
                raise DataError(f"{self.path}: id {id_!r} cannot be written to qrels; give it another")

    def check_unchanged(self) -> None:
        """Raise OutputError where the file has changed since it was opened."""
        if _content(self.path) != self.content:
            raise OutputError(
                f"{self.path}: has changed meanwhile, nothing was written; run the same command again, which "
                "asks nothing twice"
            )

    def append(self, rows: Sequence[Row]) -> None:
        """Write the file with more rows; the bytes that are there stay as they are.

        Raises
        ------
        OutputError
            The disk refuses.
        """
        before = self.content or b""
        trec = self.trec
        if not before.strip():
            before += ("\t".join(HEADER) + "\n").encode()
        if not before.endswith(b"\n"):
            before += b"\n"
        with replacing(self.path, force=True) as part:
            part.write_bytes(before + "".join(_line(row, trec) for row in rows).encode())


def _line(row: Row, trec: bool) -> str:
    if trec:
        return f"{row.query} 0 {row.document} {row.grade}\n"
    return f"{row.query}\t{row.document}\t{row.grade}\n"


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.exists() else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _encodable(id_: str) -> bool:
    try:
        id_.encode()
    except UnicodeEncodeError:
        return False
    return True
