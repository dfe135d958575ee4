"""Qdrant's, LanceDB's and Chroma's own: ids, named vectors, distances, URLs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import chromadb
import lancedb
import numpy as np
import pyarrow as pa
import pytest
from chromadb.config import Settings
from qdrant_client import QdrantClient, models

from integrations.databases.conftest import Url
from integrations.databases.filled import fill, read
from small_compressor import compressor, corpus
from smec.databases import open_collection
from smec.databases.address import parse
from smec.databases.migration import migrate
from smec.databases.qdrant import point_id
from smec.errors import ConfigError, DatabaseError, DataError, MissingExtraError

UUID = "0b8a3c1e-9a56-4d1b-8f0e-2d3c4b5a6978"


def test_ids_of_points_are_those_that_qdrant_takes() -> None:
    assert point_id(5) == 5
    assert point_id("5") == 5
    assert point_id(UUID) == UUID
    made = {str(point_id(text)) for text in ("05", "-5", "d5", UUID.upper(), str(2**64), "\u0665")}
    assert len(made) == 6 and all(len(text) == 36 for text in made)


def test_one_of_several_named_vectors_is_chosen(tmp_path: Path, url: Url) -> None:
    client = QdrantClient(path=str(tmp_path / "qdrant"))
    size = models.VectorParams(size=16, distance=models.Distance.DOT)
    client.create_collection("named", vectors_config={"title": size, "body": size})
    points = [
        models.PointStruct(
            id=n, vector={"title": row.tolist(), "body": (-row).tolist()}, payload={"sku": f"s{n}"}
        )
        for n, row in enumerate(corpus(30))
    ]
    client.upsert("named", points)
    client.create_collection(
        "many",
        vectors_config=models.VectorParams(
            size=16,
            distance=models.Distance.COSINE,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        ),
    )
    client.close()
    source = url("qdrant", "named")
    with pytest.raises(DataError, match=r"several columns of vectors \(title, body\); choose with \?vector="):
        migrate(compressor(), source, url("chroma", "small"))
    with pytest.raises(DataError, match="multivectors"):
        migrate(compressor(), url("qdrant", "many"), url("chroma", "small"))
    done = migrate(compressor(), f"{source}?vector=body&id=sku", url("chroma", "small"))
    assert done.rows == 30
    vector, fields = read(url("chroma", "small"))["s4"]
    np.testing.assert_allclose(vector, compressor().encode(-corpus(30)[4]), atol=1e-6)
    assert fields == {"sku": "s4"}


def test_documents_of_chroma_and_nested_payload_arrive(tmp_path: Path, url: Url) -> None:
    client = chromadb.PersistentClient(
        str(tmp_path / "chroma"), settings=Settings(anonymized_telemetry=False)
    )
    collection = client.create_collection("docs", embedding_function=None)
    collection.add(ids=["a"], embeddings=corpus(3)[:1], documents=["words"], metadatas=[{"n": 1}])
    collection.add(ids=["b", "c"], embeddings=corpus(3)[1:])
    client.close()
    assert migrate(compressor(), url("chroma", "docs"), url("qdrant", "docs")).rows == 3
    assert migrate(compressor(), url("chroma", "docs"), url("chroma", "small")).rows == 3
    assert read(url("qdrant", "docs"))["a"][1] == {"document": "words", "n": 1}
    assert read(url("qdrant", "docs"))["c"][1] == {}
    again = chromadb.PersistentClient(str(tmp_path / "chroma"), settings=Settings(anonymized_telemetry=False))
    assert again.get_collection("small", embedding_function=None).get()["documents"] == ["words", None, None]
    again.close()


def test_whole_numbers_are_ids_of_lance_and_types_are_kept(tmp_path: Path, url: Url) -> None:
    rows = corpus(300)
    table = pa.table(
        {
            "key": pa.array(range(300), pa.int32()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 16),
            "when": pa.array([datetime(2024, 1, 2)] * 300),
            "tags": [["x", "y"]] * 300,
        }
    )
    lancedb.connect(str(tmp_path / "lancedb")).create_table("docs", data=table)
    done = migrate(compressor(), url("lancedb", "docs"), url("lancedb", "small"))
    assert done.target.size.index is not None
    assert done.source.size.index is None
    small = lancedb.connect(str(tmp_path / "lancedb")).open_table("small").to_arrow()
    assert small.select(["when", "tags"]).equals(
        table.select(["when", "tags"]).cast(small.select(["when", "tags"]).schema)
    )
    assert small["key"].to_pylist() == list(range(300))
    assert small.schema.field("when").type == table.schema.field("when").type


def test_ids_that_occur_twice_are_noticed(tmp_path: Path, url: Url) -> None:
    rows = corpus(40)
    table = pa.table(
        {
            "id": [f"d{n % 39}" for n in range(40)],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 16),
        }
    )
    lancedb.connect(str(tmp_path / "lancedb")).create_table("docs", data=table)
    with pytest.raises(DataError, match="holds 39 rows, but 40 were read; are ids twice"):
        migrate(compressor(), url("lancedb", "docs"), url("qdrant", "small"))
    with pytest.raises(DatabaseError, match="duplicate key"):
        migrate(compressor(), url("lancedb", "docs"), url("postgresql", "small"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("lancedb:///data", "write DATABASE://LOCATION#COLLECTION"),
        ("lancedb:///data#", "write DATABASE://LOCATION#COLLECTION"),
        ("pinecone://x#y", "opened from lancedb, qdrant, postgresql, chroma URLs"),
        ("lancedb:///data#docs?vektor=x", "option 'vektor' is unknown"),
        ("postgresql://me:pw@host/b", "me@host"),
    ],
)
def test_urls_that_are_none_are_refused(wrong: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message), open_collection(wrong):
        pass


def test_addresses_are_shown_without_passwords() -> None:
    for url in ("postgresql://me:p%40w@host:5432/b#t", "postgres://me@host/b?password=p%40w&x=1#t"):
        assert "p%40w" not in str(parse(url))
    assert str(parse("postgresql://me@h/b#t?vector=v")) == "postgresql://me@h/b#t?vector=v"
    assert str(parse("lancedb://here#t")) == f"lancedb://{Path.cwd() / 'here'}#t"
    assert str(parse("qdrant://host:6333#docs")) == "qdrant://host:6333#docs"


def test_a_client_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "smec.databases.chroma", raising=False)
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'smec\[chroma\]'"),
        open_collection("chroma:///x#y"),
    ):
        pass


def test_a_server_that_does_not_answer_is_one_line() -> None:
    with (
        pytest.raises(DatabaseError, match="refuses or is lost"),
        open_collection("qdrant://127.0.0.1:9#d") as one,
    ):
        one.shape()


def test_two_collections_of_one_folder_are_open_together(tmp_path: Path, url: Url) -> None:
    fill(url("qdrant", "docs"), corpus(5))
    with open_collection(url("qdrant", "docs")) as one, open_collection(url("qdrant", "other")) as two:
        assert one.count() == 5
        assert two.shape() is None
