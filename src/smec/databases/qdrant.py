"""Qdrant: collections of a server, or of the client's local mode in a folder."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from smec.databases.address import Address
from smec.databases.collection import (
    Id,
    Page,
    Shape,
    Size,
    Stamp,
    asking,
    chosen,
    folder_bytes,
    plain,
    read_stamp,
)
from smec.errors import DataError
from smec.vectors import Float32Array, FloatArray

KEY = "smec"
"""Of the stamp in the collection's metadata."""
SOURCE_ID = "_smec_id"
"""Field of the payload that keeps an id which is neither a whole number nor a UUID."""
POINTS = 256
"""Of a request: a server takes some tens of megabytes at once."""
NAMESPACE = uuid.UUID("5f0e7e3c-7f1c-4c59-9d5a-2d1c51a3c6b1")
"""Of the UUIDs that stand for such ids."""
DATATYPES = {"float32": models.Datatype.FLOAT32, "float16": models.Datatype.FLOAT16}
REFUSALS = (ApiException, ValueError, RuntimeError)

_local: dict[str, tuple[QdrantClient, int]] = {}
"""Clients of folders, and how many collections use each: a folder takes one client at a time."""


@contextmanager
def opened(address: Address) -> Iterator[Points]:
    """Connect to a server, or open a folder (where the location begins with "/" or ".")."""
    local = address.location.startswith(("/", "."))
    with asking(str(address), *REFUSALS):
        client = _folder(address.location) if local else _server(address.location)
    try:
        yield Points(client, address)
    finally:
        if local:
            _leave(address.location)
        else:
            client.close()


def _server(location: str) -> QdrantClient:
    host, _, port = location.partition(":")
    key = os.environ.get("QDRANT_API_KEY")
    return QdrantClient(host=host, port=int(port or 6333), api_key=key, check_compatibility=False, timeout=60)


def _folder(location: str) -> QdrantClient:
    place = str(Path(location).resolve())
    client, users = _local.get(place, (None, 0))
    if client is None:
        with warnings.catch_warnings():
            # Local mode warns of many points and, where its folder is taken, of what it leaves open.
            warnings.simplefilter("ignore")
            client = QdrantClient(path=place)
    _local[place] = client, users + 1
    return client


def _leave(location: str) -> None:
    place = str(Path(location).resolve())
    client, users = _local.pop(place)
    if users > 1:
        _local[place] = client, users - 1
    else:
        client.close()


class Points:
    """A collection of points with one vector each.

    Parameters
    ----------
    client : QdrantClient
    address : Address
        Its ``vector`` names one of several vectors; its ``id`` a field of the payload to be the id.
    """

    codecs = tuple(DATATYPES)

    def __init__(self, client: QdrantClient, address: Address) -> None:
        self.name = str(address)
        self._client = client
        self._address = address
        self._collection = address.collection
        self._vector: str | None = None
        self._stamped = False

    def shape(self) -> Shape | None:
        """From the collection's configuration."""
        with asking(self.name, *REFUSALS):
            if not self._client.collection_exists(self._collection):
                return None
            vectors = self._client.get_collection(self._collection).config.params.vectors
        if isinstance(vectors, models.VectorParams):
            parameters = vectors
            if self._address.vector is not None:
                chosen(self._address.vector, [], "vectors", self.name)
        else:
            self._vector = chosen(self._address.vector, list(vectors or {}), "vectors", self.name)
            parameters = (vectors or {})[self._vector]
        if parameters.multivector_config is not None:
            raise DataError(
                f"{self.name}: has several vectors a point (multivectors), which smec does not read"
            )
        self._stamped = self.stamp() is not None
        return Shape(int(parameters.size), "vector", pa.field("id", pa.string()))

    def count(self) -> int:
        """By the database, exact."""
        with asking(self.name, *REFUSALS):
            return int(self._client.count(self._collection, exact=True).count)

    def stamp(self) -> Stamp | None:
        """From the collection's metadata."""
        with asking(self.name, *REFUSALS):
            metadata = self._client.get_collection(self._collection).config.metadata
        return read_stamp(str(metadata[KEY]), self.name) if metadata and KEY in metadata else None

    def pages(self, rows: int) -> Iterator[Page]:
        """By the order of the points' ids."""
        offset: Any = None
        while True:
            with asking(self.name, *REFUSALS):
                points, offset = self._client.scroll(
                    self._collection, limit=rows, offset=offset, with_payload=True, with_vectors=True
                )
            if points:
                payload = [point.payload or {} for point in points]
                ids = [self._id_of(point.id, one) for point, one in zip(points, payload, strict=True)]
                yield Page(ids, self._matrix(points), payload)
            if offset is None:
                return

    def fetch(self, ids: Sequence[Id]) -> FloatArray:
        """By the ids."""
        wanted = [point_id(id_) for id_ in ids]
        with asking(self.name, *REFUSALS):
            points = {
                str(point.id): point
                for point in self._client.retrieve(self._collection, wanted, with_vectors=True)
            }
        missing = [id_ for id_, point in zip(ids, wanted, strict=True) if str(point) not in points]
        if missing:
            raise DataError(f"{self.name}: has no point of id {missing[0]!r}")
        return self._matrix([points[str(point)] for point in wanted])

    def existing(self, ids: Sequence[Id]) -> list[bool]:
        """By the ids."""
        wanted = [point_id(id_) for id_ in ids]
        with asking(self.name, *REFUSALS):
            found = self._client.retrieve(self._collection, wanted, with_payload=False, with_vectors=False)
        there = {str(point.id) for point in found}
        return [str(point) in there for point in wanted]

    def create(self, like: Shape, stamp: Stamp) -> None:
        """One unnamed vector, by cosine."""
        parameters = models.VectorParams(
            size=stamp.dim, distance=models.Distance.COSINE, datatype=DATATYPES[stamp.codec]
        )
        with asking(self.name, *REFUSALS):
            self._client.create_collection(
                self._collection, vectors_config=parameters, metadata={KEY: stamp.model_dump_json()}
            )
        self._stamped = True

    def write(self, page: Page) -> None:
        """In requests that are not too large."""
        points = []
        for id_, vector, payload in zip(page.ids, page.vectors, page.payload, strict=True):
            point = point_id(id_)
            kept = {} if str(point) == str(id_) else {SOURCE_ID: id_}
            points.append(
                models.PointStruct(id=point, vector=vector.tolist(), payload={**plain(payload), **kept})
            )
        with asking(self.name, *REFUSALS):
            for start in range(0, len(points), POINTS):
                self._client.upsert(self._collection, points[start : start + POINTS], wait=True)

    def replace(self, ids: Sequence[Id], vectors: FloatArray) -> None:
        """In requests that are not too large."""
        points = [
            models.PointVectors(id=point_id(id_), vector=vector.tolist())
            for id_, vector in zip(ids, vectors, strict=True)
        ]
        with asking(self.name, *REFUSALS):
            for start in range(0, len(points), POINTS):
                self._client.update_vectors(self._collection, points[start : start + POINTS], wait=True)

    def restamp(self, stamp: Stamp) -> None:
        """In the collection's metadata."""
        with asking(self.name, *REFUSALS):
            self._client.update_collection(self._collection, metadata={KEY: stamp.model_dump_json()})

    def build_index(self) -> None:
        """The server does it by itself; local mode has none."""

    def search(self, query: FloatArray, k: int) -> list[str]:
        """As the collection is configured."""
        with asking(self.name, *REFUSALS):
            found = self._client.query_points(
                self._collection,
                query=query.tolist(),
                using=self._vector,
                limit=k,
                with_payload=[self._address.id or SOURCE_ID],
            )
        return [str(self._id_of(point.id, point.payload or {})) for point in found.points]

    def size(self) -> Size:
        """Of the folder in local mode; a server does not tell."""
        folder = Path(self._address.location, "collection", self._collection)
        return Size(folder_bytes(folder) if folder.is_dir() else None, None)

    def _id_of(self, point: Any, payload: dict[str, Any]) -> str:
        key = self._address.id
        if key is None:
            kept = payload.get(SOURCE_ID)
            return str(
                kept if self._stamped and kept is not None and str(point_id(kept)) == str(point) else point
            )
        if key not in payload:
            raise DataError(f"{self.name}: point {point} has no field {key!r} in its payload")
        return str(payload[key])

    def _matrix(self, points: Sequence[Any]) -> Float32Array:
        rows = []
        for point in points:
            vector = point.vector if self._vector is None else (point.vector or {}).get(self._vector)
            if not vector:
                raise DataError(f"{self.name}: point {point.id} has no vector; drop it or embed it again")
            rows.append(vector)
        return np.array(rows, dtype=np.float32)


def point_id(id_: Id) -> int | str:
    """The id of a point: whole numbers and UUIDs as they are, a UUID made from anything else."""
    text = str(id_)
    if text.isascii() and text.isdecimal() and str(int(text)) == text and int(text) < 2**64:
        return int(text)
    try:
        same = str(uuid.UUID(text)) == text
    except ValueError:
        same = False
    return text if same else str(uuid.uuid5(NAMESPACE, text))
