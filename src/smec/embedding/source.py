"""The texts of a BEIR folder, one at a time: what there is to embed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smec.data.beir import text_records
from smec.data.folder import find_qrels
from smec.data.qrels import read_qrels
from smec.embedding import Role
from smec.errors import DataError

SENTENCE = "sentence:"
"""Beginning of a sentence's id; the id of its document follows."""


@dataclass(frozen=True)
class Text:
    """A line of ``corpus.jsonl`` or ``queries.jsonl``, or a sentence of the former."""

    id: str
    text: str
    title: str
    line: int

    @property
    def whole(self) -> str:
        """Title and text as one, as BEIR's own encoders join them."""
        return f"{self.title} {self.text}".strip()


def texts(path: Path) -> Iterator[Text]:
    """Every text of a file of JSON lines, in its order.

    Raises
    ------
    DataError
        The file cannot be read, a line is not a JSON object with an ``_id``, or holds nothing to embed.
    """
    for line, record in text_records(path):
        text = Text(record["_id"], record.get("text", ""), record.get("title", ""), line)
        if not text.whole:
            raise DataError(
                f"{path}: line {line} (id {text.id!r}) has neither title nor text; drop it or give it one"
            )
        if not _is_unicode(text):
            raise DataError(
                f"{path}: line {line} (id {text.id!r}) holds half of a surrogate pair; repair or drop it"
            )
        yield text


def checked_texts(path: Path) -> Iterator[Text]:
    """The same, and ids must be unique; they are kept on disk, so that memory stays bounded.

    Raises
    ------
    DataError
        As for `texts`, or an id occurs twice.
    """
    seen = sqlite3.connect("")  # a private file that SQLite makes and deletes by itself
    try:
        seen.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        for text in texts(path):
            try:
                seen.execute("INSERT INTO ids VALUES (?, ?)", (text.id, text.line))
            except sqlite3.IntegrityError:
                (line,) = seen.execute("SELECT line FROM ids WHERE id = ?", (text.id,)).fetchone()
                raise DataError(
                    f"{path}: id {text.id!r} is on line {line} and again on line {text.line}; "
                    "ids must be unique"
                ) from None
            yield text
    finally:
        seen.close()


@dataclass(frozen=True)
class TextSource:
    """A BEIR folder: the files of its texts and its judgements.

    Parameters
    ----------
    corpus : Path
    queries : Path, optional
    qrels : tuple of Path
    sentences : tuple of Text
        Sentences of documents, which are embedded as queries; ``line`` is that of the document.
    """

    corpus: Path
    queries: Path | None
    qrels: tuple[Path, ...]
    sentences: tuple[Text, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> TextSource:
        """Find the files of a BEIR folder; the qrels are read, to see that they can be.

        Raises
        ------
        DataError
            There is no such folder, no ``corpus.jsonl`` in it, or qrels that cannot be read.
        """
        corpus, queries = folder / "corpus.jsonl", folder / "queries.jsonl"
        if not corpus.is_file():
            missing = f"holds no {corpus.name}" if folder.is_dir() else "is no folder"
            raise DataError(
                f"{folder}: {missing}; a BEIR folder has corpus.jsonl, and where there are any queries.jsonl "
                "and qrels/*.tsv"
            )
        qrels = tuple(find_qrels(folder).values())
        for file in qrels:
            read_qrels(file)
        return cls(corpus, queries if queries.is_file() else None, qrels)

    def file(self, role: Role) -> Path | None:
        """The file of all texts of a role."""
        return self.corpus if role == "document" else self.queries

    def texts(self, role: Role) -> Iterator[Text]:
        """All texts of a role; DataError where one cannot be used."""
        file = self.file(role)
        return iter(()) if file is None else texts(file)

    def checked(self, role: Role) -> Iterator[Text]:
        """The same, and DataError where an id occurs twice."""
        file = self.file(role)
        return iter(()) if file is None else checked_texts(file)


def _is_unicode(text: Text) -> bool:
    # JSON can spell what is no text: "\\ud800" alone.
    try:
        f"{text.id}{text.whole}".encode()
    except UnicodeEncodeError:
        return False
    return True
