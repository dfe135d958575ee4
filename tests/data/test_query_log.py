"""A log of queries in a file: which rows are drawn, whatever its format, its ids and its repetitions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_writers import WRITERS, lists

from smec.data import Dataset, Embeddings
from smec.data.query_log import MOST_LOGGED, drawn_log, read_log
from smec.errors import DataError
from smec.vectors import BLOCK_ROWS, Float32Array

DIM = 5


def rows(count: int, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).standard_normal((count, DIM), dtype=np.float32)


def npy(folder: Path, vectors: Float32Array) -> Path:
    np.save(folder / "log.npy", vectors)
    return folder / "log.npy"


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_of_a_corpus_gives_the_same_log(form: str, tmp_path: Path) -> None:
    vectors = rows(20)
    log = read_log(WRITERS[form](tmp_path, "log", Embeddings([f"l{n}" for n in range(20)], vectors)))
    np.testing.assert_array_equal(log.vectors, vectors)
    assert (log.rows, log.dim, log.sha256) == (20, DIM, drawn_log(vectors).sha256)


def test_a_log_needs_no_ids_and_may_repeat_them(tmp_path: Path) -> None:
    vectors = rows(12)
    columns = {"vector": lists(vectors, "fixed")}
    pq.write_table(pa.table(columns), tmp_path / "bare.parquet")
    pq.write_table(pa.table({"id": ["q", None] * 6, **columns}), tmp_path / "ids.parquet")
    with pa.ipc.new_file(str(tmp_path / "bare.arrow"), pa.table(columns).schema) as writer:
        writer.write_table(pa.table(columns))
    names = ("bare.parquet", "ids.parquet", "bare.arrow")
    for file in (npy(tmp_path, vectors), *(tmp_path / name for name in names)):
        np.testing.assert_array_equal(read_log(file).vectors, vectors)


def test_shards_need_the_same_vectors_alone(tmp_path: Path) -> None:
    vectors = rows(12)
    pq.write_table(pa.table({"id": ["a"] * 5, "vector": lists(vectors[:5], "fixed")}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"vector": lists(vectors[5:], "list")}), tmp_path / "b.parquet")
    np.testing.assert_array_equal(read_log(tmp_path).vectors, vectors)


def test_a_query_that_was_asked_often_counts_once(tmp_path: Path) -> None:
    different = rows(30)
    asked = np.concatenate([different[:1]] * (3 * BLOCK_ROWS) + [different[1:]] * 3)
    log = read_log(npy(tmp_path, asked))
    np.testing.assert_array_equal(log.vectors, different)
    assert log.rows == 3 * BLOCK_ROWS + 87


def test_of_many_different_queries_a_part_is_drawn_wherever_they_stand(tmp_path: Path) -> None:
    vectors = rows(5 * MOST_LOGGED)
    log = read_log(npy(tmp_path, vectors))
    assert log.vectors.shape == (MOST_LOGGED, DIM)
    places = {row.tobytes(): place for place, row in enumerate(vectors)}
    drawn = np.array([places[row.tobytes()] for row in log.vectors])
    assert (np.diff(drawn) > 0).all()
    shares = np.bincount(drawn // MOST_LOGGED, minlength=5) / MOST_LOGGED
    np.testing.assert_allclose(shares, 0.2, atol=0.02)
    turned = drawn_log(vectors[::-1])
    assert {row.tobytes() for row in turned.vectors} == {row.tobytes() for row in log.vectors}
    assert turned.sha256 != log.sha256


def peak(log: Path) -> int:
    """Bytes that a process takes at most that reads this log."""
    program = (
        "import resource, sys; from pathlib import Path; from smec.data.query_log import read_log; "
        "read_log(Path(sys.argv[1])); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    read = subprocess.run([sys.executable, "-c", program, log], capture_output=True, check=True)
    return 1024 * int(read.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss has other units")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).standard_normal((60_000, 1024), dtype=np.float32)
    logs = [tmp_path / "log.npy", tmp_path / "short.npy"]
    np.save(logs[0], wide)
    np.save(logs[1], wide[:20_000])
    long, short = map(peak, logs)
    assert long - short < wide.nbytes / 4  # they differ by two thirds of it


@pytest.mark.parametrize("form", ["parquet", "npy", "arrow_file"])
def test_an_empty_log_is_refused(form: str, tmp_path: Path) -> None:
    if form == "npy":
        file = npy(tmp_path, rows(0))
    else:
        empty = pa.table({"id": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))})
        file = tmp_path / f"log.{'parquet' if form == 'parquet' else 'arrow'}"
        if form == "parquet":
            pq.write_table(empty, file)
        else:
            with pa.ipc.new_file(str(file), empty.schema) as writer:
                writer.write_table(empty)
    with pytest.raises(DataError, match=r"log\..*: holds no vectors"):
        read_log(file)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "row 9000, column 2 is nan"), (0.0, "row 9000 is a zero vector")]
)
def test_a_row_that_says_nothing_is_named(value: float, message: str, tmp_path: Path) -> None:
    vectors = rows(BLOCK_ROWS + 2000)
    if np.isnan(value):
        vectors[9000, 2] = value
    else:
        vectors[9000] = value
    with pytest.raises(DataError, match=f"log.npy: {message}"):
        read_log(npy(tmp_path, vectors))


def test_what_is_no_table_of_vectors_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.ones(9, dtype=np.float32))
    np.save(tmp_path / "whole.npy", np.ones((9, DIM), dtype=np.int64))
    pq.write_table(pa.table({"text": ["what is gout"]}), tmp_path / "texts.parquet")
    (tmp_path / "log.csv").write_text("1,2\n")
    (tmp_path / "none").mkdir()
    for name, message in (
        ("flat.npy", "vectors must be a table of shape"),
        ("whole.npy", "vectors must be float16, float32 or float64, got int64"),
        ("texts.parquet", "needs one column 'vector', has 0; its columns are text"),
        ("log.csv", "vectors are read from .*, not from '.csv'"),
        ("none", r"none: holds no \*.parquet shards"),
        ("missing.npy", "missing.npy: no such file"),
    ):
        with pytest.raises(DataError, match=message):
            read_log(tmp_path / name)


@pytest.mark.parametrize("name", ["corpus.parquet", "queries.npy"])
def test_a_dataset_is_no_log(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match="holds a dataset, not the shards of a log; name the file of its"):
        read_log(tmp_path)


def test_a_dataset_takes_a_log_at_hand() -> None:
    vectors = rows(9)
    data = Dataset(rows(4), log=np.concatenate([vectors, vectors]))
    assert data.log is not None
    np.testing.assert_array_equal(data.log.vectors, vectors)
    assert data.fingerprint()["log"] == data.log.sha256
    with pytest.raises(DataError, match="log: vectors must be a table"):
        Dataset(rows(4), log=np.ones(3, dtype=np.float32))
    with pytest.raises(DataError, match="log: holds no vectors"):
        Dataset(rows(4), log=np.empty((0, DIM), dtype=np.float32))
