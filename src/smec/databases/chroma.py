"""Chroma: collections of an embedded database in a folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pyarrow as pa
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError

from smec.databases.address import Address
from smec.databases.collection import Id, Page, Shape, Size, Stamp, asking, chosen, plain, read_stamp
from smec.errors import DataError
from smec.vectors import Float32Array, FloatArray

KEY = "smec"
"""Of the stamp in the collection's metadata."""
DOCUMENT = "document"
"""Field of the payload that is Chroma's document."""
REFUSALS = (ChromaError, ValueError, RuntimeError)


@contextmanager
def opened(address: Address) -> Iterator[Records]:
    """Open the folder, which need not exist."""
    with asking(str(address), *REFUSALS):
        client = chromadb.PersistentClient(address.location, settings=Settings(anonymized_telemetry=False))
    try:
        yield Records(client, address)
    finally:
        client.close()


class Records:
    """A collection.

    Parameters
    ----------
    client : chromadb.api.ClientAPI
    address : Address
    """

    codecs = ("float32",)

    def __init__(self, client: Any, address: Address) -> None:
        self.name = str(address)
        self._client = client
        self._address = address
        self._opened: Any = None

    def shape(self) -> Shape | None:
        """From the first record; fields of records differ."""
        if self._opened is None:
            with asking(self.name, *REFUSALS):
                try:
                    # Without one, opening would ask for the embedding function that it was made with.
                    self._opened = self._client.get_collection(
                        self._address.collection, embedding_function=None
                    )
                except NotFoundError:
                    return None
        for option, only in (("vector", self._address.vector), ("id", self._address.id)):
            if only is not None:
                chosen(only, [], f"{option}s", self.name)
        with asking(self.name, *REFUSALS):
            first = self._opened.get(limit=1, include=["embeddings"])["embeddings"]
        return Shape(len(first[0]) if len(first) else 0, "vector", pa.field("id", pa.string()))

    def count(self) -> int:
        """By the database."""
        with asking(self.name, *REFUSALS):
            return int(self._opened.count())

    def stamp(self) -> Stamp | None:
        """From the collection's metadata."""
        metadata = self._opened.metadata or {}
        return read_stamp(str(metadata[KEY]), self.name) if KEY in metadata else None

    def pages(self, rows: int) -> Iterator[Page]:
        """By the database's own order, which is that of writing."""
        offset = 0
        while True:
            with asking(self.name, *REFUSALS):
                found = self._opened.get(
                    limit=rows, offset=offset, include=["embeddings", "metadatas", "documents"]
                )
            if not found["ids"]:
                return
            rows_ = zip(found["ids"], found["metadatas"], found["documents"], strict=True)
            payload = [self._fields(*row) for row in rows_]
            yield Page(found["ids"], np.asarray(found["embeddings"], dtype=np.float32), payload)
            offset += len(found["ids"])

    def fetch(self, ids: Sequence[Id]) -> Float32Array:
        """By the ids."""
        found = {
            id_: vector
            for part in self._parts(ids, ["embeddings"])
            for id_, vector in zip(part["ids"], part["embeddings"], strict=True)
        }
        missing = [id_ for id_ in ids if str(id_) not in found]
        if missing:
            raise DataError(f"{self.name}: has no record of id {missing[0]!r}")
        return np.asarray([found[str(id_)] for id_ in ids], dtype=np.float32)

    def existing(self, ids: Sequence[Id]) -> list[bool]:
        """By the ids."""
        there = {id_ for part in self._parts(ids, []) for id_ in part["ids"]}
        return [str(id_) in there for id_ in ids]

    def _parts(self, ids: Sequence[Id], include: list[str]) -> Iterator[Any]:
        """What is there of these ids, in as many calls as the database wants."""
        most = self._client.get_max_batch_size()
        for start in range(0, len(ids), most):
            with asking(self.name, *REFUSALS):
                yield self._opened.get(ids=list(map(str, ids[start : start + most])), include=include)

    def _fields(self, id_: str, metadata: Mapping[str, Any] | None, document: str | None) -> dict[str, Any]:
        fields = dict(metadata or {})
        if document is None:
            return fields
        if DOCUMENT in fields:
            raise DataError(
                f"{self.name}: record {id_!r} has a document and a metadata field {DOCUMENT!r}; rename that"
            )
        return {**fields, DOCUMENT: document}

    def create(self, like: Shape, stamp: Stamp) -> None:
        """By cosine."""
        with asking(self.name, *REFUSALS):
            self._opened = self._client.create_collection(
                self._address.collection,
                embedding_function=None,
                metadata={KEY: stamp.model_dump_json()},
                configuration={"hnsw": {"space": "cosine"}},
            )

    def write(self, page: Page) -> None:
        """In as many calls as the database wants; what is neither number, string nor bool as JSON."""
        most = self._client.get_max_batch_size()
        documents = [one.get(DOCUMENT) for one in page.payload]
        # Chroma takes documents for all records of a call or for none.
        for texts in (True, False):
            rows = [row for row, text in enumerate(documents) if isinstance(text, str) == texts]
            for start in range(0, len(rows), most):
                part = page.only(rows[start : start + most])
                with asking(self.name, *REFUSALS):
                    self._opened.add(
                        ids=list(map(str, part.ids)),
                        embeddings=np.asarray(part.vectors, dtype=np.float32),
                        metadatas=[_flat(one, skip=DOCUMENT if texts else None) for one in part.payload],
                        documents=[one[DOCUMENT] for one in part.payload] if texts else None,
                    )

    def replace(self, ids: Sequence[Id], vectors: FloatArray) -> None:
        """In as many calls as the database wants."""
        most = self._client.get_max_batch_size()
        for start in range(0, len(ids), most):
            with asking(self.name, *REFUSALS):
                self._opened.update(
                    ids=list(map(str, ids[start : start + most])),
                    embeddings=np.asarray(vectors[start : start + most], dtype=np.float32),
                )

    def restamp(self, stamp: Stamp) -> None:
        """In the collection's metadata."""
        with asking(self.name, *REFUSALS):
            self._opened.modify(metadata={**self._opened.metadata, KEY: stamp.model_dump_json()})

    def build_index(self) -> None:
        """Chroma does it while it writes."""

    def search(self, query: FloatArray, k: int) -> list[str]:
        """As the collection is configured."""
        with asking(self.name, *REFUSALS):
            found = self._opened.query(
                query_embeddings=[np.asarray(query, dtype=np.float32)], n_results=k, include=[]
            )
        return list(found["ids"][0])

    def size(self) -> Size:
        """Of the index alone: all collections share one file for the rest."""
        return Size(None, self._index_bytes())

    def _index_bytes(self) -> int | None:
        # The folders of indexes bear the ids of Chroma's segments, which only its own tables connect.
        base = Path(self._address.location, "chroma.sqlite3")
        with (
            asking(self.name, sqlite3.Error),
            closing(sqlite3.connect(f"{base.resolve().as_uri()}?mode=ro", uri=True)) as database,
        ):
            rows = database.execute(
                "SELECT id FROM segments WHERE collection = ? AND scope = 'VECTOR'", [str(self._opened.id)]
            ).fetchall()
        folders = [base.parent / row[0] for row in rows]
        sizes = [file.stat().st_size for folder in folders for file in folder.glob("*")]
        return sum(sizes) if sizes else None


def _flat(payload: Mapping[str, Any], skip: str | None) -> dict[str, Any] | None:
    """Metadata as Chroma takes it; None where there is nothing."""
    flat = {
        key: value if _is_native(value) else json.dumps(plain(value))
        for key, value in payload.items()
        if value is not None and key != skip
    }
    return flat or None


def _is_native(value: Any) -> bool:
    """Numbers, strings and lists of one kind of them."""
    scalars = value if isinstance(value, list) and value else [value]
    kinds = {type(one) for one in scalars}
    return len(kinds) == 1 and kinds <= {bool, int, float, str}
