"""Collections made and read with the databases' own clients, and none of smec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from pgvector.psycopg import register_vector

from smec.vectors import FloatArray

KINDS = ("lancedb", "qdrant", "postgresql", "chroma")
Rows = dict[str, tuple[FloatArray, Mapping[str, Any]]]


def payload(row: int) -> dict[str, Any]:
    """With a quote, an umlaut and a number, and a field that not every row has."""
    return {"title": f"it's no. {row}: ü", "page": row} | ({"note": "odd"} if row % 2 else {})


def fill(url: str, vectors: FloatArray) -> None:
    """A collection of rows d0, d1, ... (0, 1, ... in Qdrant) with `payload`."""
    kind, _, rest = url.partition("://")
    place, _, name = rest.partition("#")
    globals()[f"_fill_{kind}"](place, name, vectors)


def read(url: str) -> Rows:
    """What is in a collection: id as a string -> vector and payload without nulls."""
    kind, _, rest = url.partition("://")
    place, _, name = rest.partition("#")
    found: Rows = globals()[f"_read_{kind}"](place, name)
    return {
        id_: (vector, {key: value for key, value in fields.items() if value is not None})
        for id_, (vector, fields) in found.items()
    }


def _fill_lancedb(place: str, name: str, vectors: FloatArray) -> None:
    import lancedb

    width = vectors.shape[1]
    rows = [payload(row) for row in range(len(vectors))]
    table = pa.table(
        {
            "id": [f"d{row}" for row in range(len(vectors))],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width),
            **{key: pa.array([row.get(key) for row in rows]) for key in ("title", "page", "note")},
        }
    )
    lancedb.connect(place).create_table(name, data=table)


def _read_lancedb(place: str, name: str) -> Rows:
    import lancedb

    rows = lancedb.connect(place).open_table(name).to_arrow().to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    return {str(row.pop("id")): (np.array(row.pop("vector"), dtype=np.float32), row) for row in rows}


def _fill_qdrant(place: str, name: str, vectors: FloatArray) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=place)
    size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection(name, vectors_config=size)
    points = [models.PointStruct(id=n, vector=v.tolist(), payload=payload(n)) for n, v in enumerate(vectors)]
    client.upsert(name, points)
    client.close()


def _read_qdrant(place: str, name: str) -> Rows:
    from qdrant_client import QdrantClient

    client = QdrantClient(path=place)
    points, _ = client.scroll(name, limit=100_000, with_vectors=True)
    client.close()
    rows: Rows = {}
    for point in points:
        fields = dict(point.payload or {})
        rows[str(fields.pop("_smec_id", point.id))] = (np.array(point.vector, dtype=np.float32), fields)
    return rows


def _fill_postgresql(place: str, name: str, vectors: FloatArray) -> None:
    with psycopg.connect(f"postgresql://{place}", autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {name} (id text PRIMARY KEY, vector vector({vectors.shape[1]}), title varchar(40)"
            ", page integer, note text)".encode()
        )
        for row, vector in enumerate(vectors):
            one = payload(row)
            values = [f"d{row}", str(vector.tolist()), one["title"], one["page"], one.get("note")]
            connection.execute(f"INSERT INTO {name} VALUES (%s, %s, %s, %s, %s)".encode(), values)


def _read_postgresql(place: str, name: str) -> Rows:
    with psycopg.connect(f"postgresql://{place}", autocommit=True) as connection:
        register_vector(connection)
        cursor = connection.execute(f"SELECT * FROM {name}".encode())
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    found = {}
    for row in rows:
        id_, vector = str(row.pop("id")), row.pop("vector")
        found[id_] = (
            np.asarray(getattr(vector, "to_numpy", lambda v=vector: v)()),
            row.pop("payload", None) or row,
        )
    return found


def _fill_chroma(place: str, name: str, vectors: FloatArray) -> None:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(place, settings=Settings(anonymized_telemetry=False))
    client.create_collection(name, embedding_function=None).add(
        ids=[f"d{row}" for row in range(len(vectors))],
        embeddings=np.asarray(vectors, dtype=np.float32),
        metadatas=[payload(row) for row in range(len(vectors))],
    )
    client.close()


def _read_chroma(place: str, name: str) -> Rows:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(place, settings=Settings(anonymized_telemetry=False))
    rows = client.get_collection(name, embedding_function=None).get(include=["embeddings", "metadatas"])
    client.close()
    return {
        id_: (np.asarray(vector, dtype=np.float32), dict(fields or {}))
        for id_, vector, fields in zip(rows["ids"], rows["embeddings"], rows["metadatas"], strict=True)
    }
