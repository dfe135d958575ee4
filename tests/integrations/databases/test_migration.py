"""Every database as a source and as a target: ids, payload and vectors arrive, once, whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from integrations.databases.conftest import Url
from integrations.databases.filled import KINDS, fill, payload, read
from small_compressor import compressor, corpus, own_queries
from smec.calibration import calibrate
from smec.cli.main import app
from smec.compressor import Compressor
from smec.databases import open_collection
from smec.databases.migration import migrate
from smec.errors import ConfigError, DatabaseError, DataError, OutputError
from smec.vectors import normalise

ROWS = 300
PAIRS = [*((kind, kind) for kind in KINDS), *zip(KINDS, (*KINDS[1:], KINDS[0]), strict=True)]

KILLED = """
import os, signal, sys
from smec import Compressor
from smec.databases.migration import migrate

def kill(done, rows):
    if done >= 128:
        os.kill(os.getpid(), signal.SIGKILL)

migrate(Compressor.load(sys.argv[1]), sys.argv[2], sys.argv[3], page_rows=32, progress=kill)
"""


FEW = 40


def vectors(rows: int = ROWS) -> np.ndarray:
    return corpus(rows)


def small(dim: int = 8) -> np.ndarray:
    return compressor().encode(vectors(), dim)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_ids_payload_and_vectors_arrive(source: str, target: str, url: Url) -> None:
    fill(url(source, "full"), vectors())
    done = migrate(compressor(), url(source, "full"), url(target, "small"), page_rows=64)
    assert (done.rows, done.reused, done.verified, done.queries) == (ROWS, 0, 256, 50)
    found = read(url(target, "small"))
    assert len(found) == ROWS
    for row, wanted in enumerate(small()):
        vector, fields = found[str(row) if source == "qdrant" else f"d{row}"]
        np.testing.assert_allclose(vector, wanted, atol=1e-6)
        if "payload" in fields:
            fields = json.loads(str(fields["payload"])) if isinstance(fields["payload"], str) else fields
        assert fields == payload(row)
    assert (done.source.dim, done.target.dim) == (16, 8)
    assert 0.2 < done.overlap <= 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_is_finished_by_resume(kind: str, url: Url, tmp_path: Path) -> None:
    fill(url(kind, "full"), vectors())
    compressor().save(tmp_path / "model")
    arguments = [str(tmp_path / "model"), url(kind, "full"), url(kind, "small")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    with open_collection(url(kind, "small")) as part:
        assert part.shape() is not None
        assert 128 <= part.count() < ROWS
    with pytest.raises(OutputError, match="exists already; finish it with --resume"):
        migrate(compressor(), url(kind, "full"), url(kind, "small"))
    done = migrate(compressor(), url(kind, "full"), url(kind, "small"), resume=True, page_rows=50)
    assert (done.rows, done.reused) == (ROWS, 128)
    found = read(url(kind, "small"))
    assert len(found) == ROWS
    ids = [str(row) if kind == "qdrant" else f"d{row}" for row in range(ROWS)]
    np.testing.assert_allclose(np.array([found[id_][0] for id_ in ids]), small(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_collection_stays_valid_when_queries_get_a_matrix_of_their_own(kind: str, url: Url) -> None:
    fill(url(kind, "full"), vectors(FEW))
    migrate(compressor(), url(kind, "full"), url(kind, "small"))
    again = migrate(own_queries(), url(kind, "full"), url(kind, "small"), resume=True)
    assert (again.rows, again.reused, again.verified) == (FEW, FEW, FEW)
    with open_collection(url(kind, "small")) as collection:
        assert collection.shape() is not None
        found = collection.search(own_queries().encode_queries(vectors(1)[0], 8), FEW)
    scores = small()[:FEW] @ own_queries().encode_queries(vectors(1)[0], 8)
    prefix = "" if kind == "qdrant" else "d"
    assert found[:5] == [f"{prefix}{row}" for row in np.argsort(-scores)[:5]]


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_be_mixed_is_refused(kind: str, url: Url) -> None:
    fill(url(kind, "full"), vectors(FEW))
    fill(url(kind, "foreign"), small()[:FEW])
    full, target = url(kind, "full"), url(kind, "small")
    with pytest.raises(OutputError, match="bears no stamp of smec"):
        migrate(compressor(), full, url(kind, "foreign"), resume=True)
    migrate(compressor(), full, target, dim=4)
    with pytest.raises(OutputError, match=r"another size \(4, not 8\)"):
        migrate(compressor(), full, target, resume=True)
    other = compressor()
    other.tensors["block.0"] = other.tensors["block.0"] * 2
    with pytest.raises(OutputError, match="another model"):
        migrate(other, full, target, dim=4, resume=True)
    with pytest.raises(DataError, match="compressed to 4 dims"):
        migrate(compressor(), target, url(kind, "smaller"))
    with pytest.raises(OutputError, match="was made from"):
        fill(url(kind, "more"), vectors(FEW))
        migrate(compressor(), url(kind, "more"), target, dim=4, resume=True)
    again = migrate(compressor(), full, target, dim=4, resume=True)
    assert (again.rows, again.reused) == (FEW, FEW)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_sources_are_refused_in_words(kind: str, url: Url) -> None:
    with pytest.raises(DataError, match="no such collection"):
        migrate(compressor(), url(kind, "nothing"), url(kind, "small"))
    fill(url(kind, "narrow"), vectors(FEW)[:, :12])
    with pytest.raises(DataError, match="vectors have 12 dims, but the compressor takes 16"):
        migrate(compressor(), url(kind, "narrow"), url(kind, "small"))
    broken = vectors(FEW)
    broken[7] = 0
    fill(url(kind, "zero"), broken)
    with pytest.raises(DataError, match=r"\(id 'd?7'\) is a zero vector"):
        migrate(compressor(), url(kind, "zero"), url(kind, "small"))


@pytest.mark.parametrize("centred", [False, True])
def test_rows_of_another_model_among_those_of_the_first_are_found(centred: bool, url: Url) -> None:
    rng = np.random.default_rng(5)
    axes = np.linalg.qr(rng.standard_normal((256, 256)))[0].astype(np.float32)
    spread = (0.8 ** np.arange(256)).astype(np.float32)
    rows = (rng.standard_normal((400, 256)).astype(np.float32) * spread) @ axes.T
    if centred:  # about a mean that no axis of their spread has a part of
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        rows += 3 * axes[:, 200]
    model = _pca(rows, centred=centred)
    fill(url("lancedb", "pure"), rows)
    assert migrate(model, url("lancedb", "pure"), url("lancedb", "small")).rows == 400
    fill(url("lancedb", "turned"), rows @ np.linalg.qr(rng.standard_normal((256, 256)))[0].astype(np.float32))
    half = _pca(rows, 128, centred=centred)  # the largest size by default
    with pytest.raises(DataError, match=r"of 400 rows read together.*or migrate with --any-data"):
        migrate(half, url("lancedb", "turned"), url("lancedb", "none"))
    assert migrate(half, url("lancedb", "turned"), url("lancedb", "any"), any_data=True).rows == 400
    rows[::10] = rows[::10] @ np.linalg.qr(rng.standard_normal((256, 256)))[0].astype(np.float32)
    fill(url("lancedb", "mixed"), rows)
    with pytest.raises(DataError, match=r"40 of 400 rows read together, id 'd0' the first.*of another model"):
        migrate(model, url("lancedb", "mixed"), url("lancedb", "mixed_small"))


def _pca(rows: np.ndarray, dim: int = 16, *, centred: bool) -> Compressor:
    from smec.baselines import fit_baseline
    from smec.block import Block

    name = "pca-centred" if centred else "pca"
    fitted: Any = fit_baseline(name, rows, (dim,))
    bias = -fitted.mean @ fitted.matrix if centred else None
    block = Block(fitted.matrix, (dim,), name, bias=bias)
    manifest = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    mean = normalise(rows).mean(axis=0)
    return Compressor.assemble([block], {**manifest, "libraries": {}}, rows[:16], mean)


def test_what_is_read_back_is_compared(url: Url, postgres: str) -> None:
    fill(url("postgresql", "full"), vectors(FEW))
    table = url("postgresql", "small").rpartition("#")[2]

    def spoil(done: int, rows: int) -> None:
        with psycopg.connect(f"postgresql://{postgres}", autocommit=True) as other:
            other.execute(f"UPDATE {table} SET vector = '[1,0,0,0,0,0,0,0]' WHERE id = 'd3'".encode())

    with pytest.raises(DataError, match="what is read back differs from what was written by"):
        migrate(compressor(), url("postgresql", "full"), url("postgresql", "small"), progress=spoil)


def test_a_source_that_changes_meanwhile_is_noticed(url: Url, postgres: str) -> None:
    fill(url("postgresql", "full"), vectors())
    table = url("postgresql", "full").rpartition("#")[2]

    def delete(done: int, rows: int) -> None:
        with psycopg.connect(f"postgresql://{postgres}", autocommit=True) as other:
            other.execute(f"DELETE FROM {table} WHERE id = 'd99'".encode())

    with pytest.raises(DataError, match="299 rows came, but there were 300"):
        migrate(
            compressor(), url("postgresql", "full"), url("postgresql", "small"), page_rows=50, progress=delete
        )


@pytest.mark.parametrize(("source", "target"), [(s, t) for s in ("qdrant", "chroma") for t in KINDS])
def test_payload_without_columns_arrives_as_it_was(
    source: str, target: str, url: Url, tmp_path: Path
) -> None:
    """A field that is called as the column of all of them is, ids of others, lists."""
    odd: dict[str, object] = {"payload": "hello", "_id": "mine", "tags": ["x", "y"]}
    with_payload(source, tmp_path / source, odd)
    migrate(compressor(), url(source, "odd"), url(target, "small"))
    for _, fields in read(url(target, "small")).values():
        column = fields["payload"] if target == "lancedb" else None
        assert (fields if column is None else json.loads(str(column))) == odd


def with_payload(kind: str, place: Path, payload: dict[str, object]) -> None:
    """A collection ``odd`` of three records with this payload."""
    if kind == "qdrant":
        from qdrant_client import QdrantClient, models

        client = QdrantClient(path=str(place))
        client.create_collection(
            "odd", vectors_config=models.VectorParams(size=16, distance=models.Distance.COSINE)
        )
        points = [
            models.PointStruct(id=n, vector=v.tolist(), payload=payload) for n, v in enumerate(vectors(3))
        ]
        client.upsert("odd", points)
        client.close()
        return
    import chromadb
    from chromadb.config import Settings

    store = chromadb.PersistentClient(str(place), settings=Settings(anonymized_telemetry=False))
    store.create_collection("odd", embedding_function=None).add(
        ids=["a", "b", "c"],
        embeddings=vectors(3),
        metadatas=[payload] * 3,
    )
    store.close()


def test_a_connection_that_is_lost_midway_is_an_error_that_resume_mends(url: Url, postgres: str) -> None:
    fill(url("postgresql", "full"), vectors())

    def cut(done: int, rows: int) -> None:
        if done >= 128:
            with psycopg.connect(f"postgresql://{postgres}", autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )

    source, target = url("postgresql", "full"), url("postgresql", "small")
    with pytest.raises(DatabaseError, match=r"refuses or is lost.*go on with --resume"):
        migrate(compressor(), source, target, page_rows=32, progress=cut)
    done = migrate(compressor(), source, target, resume=True)
    assert (done.rows, done.reused) == (ROWS, 128)


@pytest.mark.parametrize(("kind", "codec"), [(k, c) for k in KINDS for c in ("float16", "binary")])
def test_codes_that_a_database_can_hold_are_found_again(kind: str, codec: str, url: Url) -> None:
    fill(url(kind, "full"), vectors())
    model = calibrate(compressor(), vectors(), ["binary"])
    arguments = (model, url(kind, "full"), url(kind, "small"))
    with open_collection(arguments[2]) as target:
        able = codec in target.codecs
    if not able:
        with pytest.raises(ConfigError, match=r"holds vectors as float32.*, not as"):
            migrate(*arguments, codec=codec)
        return
    done = migrate(*arguments, codec=codec)
    assert (done.rows, done.target.bytes_per_vector) == (ROWS, 16 if codec == "float16" else 1)
    codes = model.codec(codec, 8).encode(model.encode(vectors(), 8))
    ids = [str(row) if kind == "qdrant" else f"d{row}" for row in range(ROWS)]
    with open_collection(arguments[2]) as target:
        there = target.shape()
        assert there is not None and there.dim == 8
        np.testing.assert_allclose(target.fetch(ids), codes, atol=1e-3 if codec == "float16" else 0)


def test_the_command_prints_a_table_and_json(url: Url, tmp_path: Path) -> None:
    fill(url("lancedb", "full"), vectors())
    compressor().save(tmp_path / "model")
    command = ["migrate", url("lancedb", "full"), url("lancedb", "small"), "-m", str(tmp_path / "model")]
    shown = CliRunner().invoke(app, [*command, "--dim", "4"])
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert next(line for line in lines if line[:1] == ["source"])[1:4] == ["16", "float32", "64"]
    assert next(line for line in lines if line[:1] == ["target"])[1:4] == ["4", "float32", "16"]
    assert f"{ROWS} rows; 256 read back and right" in shown.stdout
    again = CliRunner().invoke(app, [*command, "--dim", "4", "--resume", "--json"])
    answer = json.loads(again.stdout)
    assert (answer["rows"], answer["reused"], answer["target"]["dim"]) == (ROWS, ROWS, 4)
    refused = CliRunner().invoke(app, command)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
