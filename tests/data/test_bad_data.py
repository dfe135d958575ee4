"""Data that cannot be used is refused in one line that says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_writers import WRITERS, beir, npy, npz, parquet, parquet_shards, table
from typer.testing import CliRunner

from smec.cli.main import app
from smec.data import Dataset, Embeddings
from smec.data.columns import vector_matrix
from smec.data.readers import read_vectors
from smec.errors import DataError

CORPUS = Embeddings([f"d{row}" for row in range(6)], np.eye(6, 4, dtype=np.float32) + 1)
QUERIES = Embeddings(["q0", "q1"], np.ones((2, 4), np.float32))


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        opened = Dataset.open(folder)
        opened.judged("test")
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_says(message: str, *words: str) -> None:
    assert all(word in message for word in words), message


def test_no_folder(tmp_path: Path) -> None:
    assert_says(refusal(tmp_path / "nowhere"), "nowhere", "no such folder")


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    assert_says(refusal(parquet(tmp_path, "corpus", CORPUS)), "corpus.parquet", "is a file")


def test_no_corpus(tmp_path: Path) -> None:
    parquet(tmp_path, "queries", QUERIES)
    assert_says(refusal(tmp_path), "no corpus", ".parquet", ".npy", ".jsonl", "corpus/")


def test_two_corpora(tmp_path: Path) -> None:
    parquet(tmp_path, "corpus", CORPUS)
    npy(tmp_path, "corpus", CORPUS)
    assert_says(refusal(tmp_path), "corpus.npy or corpus.parquet", "keep one")


def test_a_table_that_is_not_there_or_of_no_known_format(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vectors\.npy: no such file"):
        read_vectors(tmp_path / "vectors.npy")
    (tmp_path / "vectors.csv").touch()
    with pytest.raises(DataError, match=r"vectors\.csv: vectors are read from \.parquet, .*'\.csv'"):
        read_vectors(tmp_path / "vectors.csv")


def test_two_files_for_a_split(tmp_path: Path) -> None:
    write_dataset(tmp_path, "q0 0 d1 1\n")
    (tmp_path / "qrels" / "test.txt").write_text("q0 0 d1 1\n")
    assert_says(refusal(tmp_path), "'test'", "test.tsv", "test.txt", "keep one")


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("damage", ["foreign", "truncated", "empty"])
def test_damaged_files(form: str, damage: str, tmp_path: Path) -> None:
    path = WRITERS[form](tmp_path, "corpus", CORPUS)
    path = next(path.iterdir()) if path.is_dir() else path
    path = path.with_suffix(".npy") if form == "beir" else path
    whole = path.read_bytes()
    path.write_bytes(
        {"foreign": b"%PDF-1.7 " * 99, "truncated": whole[: len(whole) // 2], "empty": b""}[damage]
    )
    assert_says(refusal(tmp_path), path.name, "cannot be read")


def test_npy_without_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "corpus.npy", CORPUS.vectors)
    assert_says(refusal(tmp_path), "corpus.npy", "corpus.ids.txt", "corpus.jsonl")


def test_npy_with_too_few_ids(tmp_path: Path) -> None:
    npy(tmp_path, "corpus", CORPUS)
    (tmp_path / "corpus.ids.txt").write_text("d0\nd1\n")
    assert_says(refusal(tmp_path), "corpus.ids.txt", "2 ids", "6 vectors")


def test_npy_of_one_dimension(tmp_path: Path) -> None:
    npy(tmp_path, "corpus", CORPUS)
    np.save(tmp_path / "corpus.npy", np.ones(6))
    assert_says(refusal(tmp_path), "corpus.npy", "shape (6,)")


def test_npz_without_ids(tmp_path: Path) -> None:
    np.savez(tmp_path / "corpus.npz", vectors=CORPUS.vectors)
    assert_says(refusal(tmp_path), "corpus.npz", "'ids'", "not there")


@pytest.mark.parametrize(
    ("ids", "word"),
    [
        (np.array(["a", 1], dtype=object), "Object arrays"),
        (np.array([0.5, 1]), "float64"),
        (np.array([["a", "b"]]), "(1, 2)"),
    ],
    ids=["pickled", "floats", "table"],
)
def test_npz_with_unusable_ids(ids: np.ndarray, word: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "corpus.npz", ids=ids, vectors=np.ones((2, 3)))
    assert_says(refusal(tmp_path), "corpus.npz", word)


def test_npz_with_a_damaged_member(tmp_path: Path) -> None:
    path = npz(tmp_path, "corpus", CORPUS)
    path.write_bytes(path.read_bytes().replace(b"\x93NUMPY", b"\x93MUMPY"))
    assert_says(refusal(tmp_path), "corpus.npz", "cannot be read")


def test_beir_without_vectors(tmp_path: Path) -> None:
    beir(tmp_path, "corpus", CORPUS)
    (tmp_path / "corpus.npy").unlink()
    assert_says(refusal(tmp_path), "corpus.jsonl", "corpus.npy")


def test_beir_with_too_few_vectors(tmp_path: Path) -> None:
    beir(tmp_path, "corpus", CORPUS)
    np.save(tmp_path / "corpus.npy", CORPUS.vectors[:4])
    assert_says(refusal(tmp_path), "corpus.jsonl", "6 lines", "4 vectors")


@pytest.mark.parametrize("line", ['{"_id": "d1", ', '{"id": "d1"}', '["d1"]', '{"_id": 1.5}'])
def test_bad_json(line: str, tmp_path: Path) -> None:
    path = beir(tmp_path, "corpus", CORPUS)
    lines = path.read_text().splitlines()
    lines[1] = line
    path.write_text("\n".join(lines))
    assert_says(refusal(tmp_path), "corpus.jsonl", "line 2")


def vectors_with(row: int, value: list[float | None] | None, kind: pa.DataType) -> pa.Table:
    rows: list[Any] = CORPUS.vectors.tolist()
    rows[row] = value
    return table(CORPUS).set_column(1, "vector", pa.array(rows, kind))


FIXED = pa.list_(pa.float32(), 4)
LIST = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns(["id"]), ["'id'", "vector"]),
        (lambda t: t.rename_columns(["id", "embedding"]), ["'vector'", "id, embedding"]),
        (lambda t: t.append_column("id", t["id"]), ["'id'", "has 2"]),
        (lambda t: t.set_column(1, "vector", pa.array(["x"] * 6)), ["'vector'", "holds string"]),
        (lambda t: t.set_column(1, "vector", pa.array([[1]] * 6)), ["'vector'", "int64"]),
        (lambda t: t.set_column(0, "id", pa.array([0.5] * 6)), ["'id'", "double"]),
        (lambda t: t.set_column(0, "id", pa.array(["a", "b", None, "d", "e", "f"])), ["row 2", "null"]),
        (
            lambda t: t.set_column(0, "id", pa.array(["a", "b", "c", "d", "b", "f"])),
            ["'b'", "row 1", "row 4"],
        ),
        (lambda t: vectors_with(3, None, LIST), ["row 3", "null"]),
        (lambda t: vectors_with(4, [1, None, 1, 1], FIXED), ["row 4", "column 1", "null"]),
        (lambda t: vectors_with(5, [1, 2, 3], LIST), ["row 5", "3 dims", "4"]),
        (lambda t: vectors_with(2, [1, np.inf, 1, 1], FIXED), ["row 2", "'d2'", "column 1", "inf"]),
        (lambda t: vectors_with(2, [0, 0, 0, 0], LIST), ["row 2", "'d2'", "zero"]),
        (lambda t: t.slice(0, 0), ["no vectors"]),
    ],
)
def test_bad_columns(change: Callable[[pa.Table], pa.Table], words: list[str], tmp_path: Path) -> None:
    pq.write_table(change(table(CORPUS)), tmp_path / "corpus.parquet")
    assert_says(refusal(tmp_path), "corpus.parquet", *words)


def test_rows_are_counted_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "corpus.arrow"
    whole = vectors_with(5, [1, 2, 3], LIST)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=5)
    assert_says(refusal(tmp_path), "corpus.arrow", "row 5", "3 dims", "4")


def test_a_batch_names_the_row_in_the_file() -> None:
    with pytest.raises(DataError, match="big: row 1003 has no vector"):
        vector_matrix(vectors_with(3, None, FIXED)["vector"].chunk(0), "big", first_row=1000)
    with pytest.raises(DataError, match="big: row 1000 has 4 dims, but 8 are expected"):
        vector_matrix(table(CORPUS)["vector"].chunk(0), "big", first_row=1000, dim=8)


def test_shards_of_two_widths(tmp_path: Path) -> None:
    shards = parquet_shards(tmp_path, "corpus", CORPUS)
    parquet(shards, "part-002", QUERIES)
    parquet(shards, "part-003", Embeddings(["x"], np.ones((1, 5))))
    assert_says(refusal(tmp_path), "part-003.parquet", "5 dims", "part-000.parquet 4")


def test_shards_with_and_without_texts(tmp_path: Path) -> None:
    shards = parquet_shards(tmp_path, "corpus", CORPUS)
    parquet(shards, "part-002", Embeddings(["x"], np.ones((1, 4)), texts=["?"]))
    assert_says(refusal(tmp_path), "part-002.parquet", "'text'")


def test_an_id_in_two_shards(tmp_path: Path) -> None:
    shards = parquet_shards(tmp_path, "corpus", CORPUS)
    parquet(shards, "part-002", Embeddings(["d1"], np.ones((1, 4), dtype=np.float32)))
    assert_says(refusal(tmp_path), "corpus", "'d1'", "row 1", "row 6")


def test_a_folder_without_shards(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    assert_says(refusal(tmp_path), "corpus", "*.parquet")


def write_dataset(folder: Path, qrels: str) -> None:
    parquet(folder, "corpus", CORPUS)
    parquet(folder, "queries", QUERIES)
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(qrels)


HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.mark.parametrize(
    ("qrels", "words"),
    [
        (HEADER + "q0\td1\t1\nq0\td2\tgood\n", ["line 3", "'good'"]),
        (HEADER + "q0\td1\t1.5\n", ["line 2", "'1.5'"]),
        (HEADER + "\nq0\td1\t-1\n", ["line 3", "'-1'"]),
        (HEADER + "q0\td1\n", ["line 2", "2 columns"]),
        (HEADER + "q0 d1 1\n", ["line 2", "1 columns", "tabs"]),
        (HEADER + "q0\td1\t1\nq0\td2\t1\nq0\td1\t2\n", ["line 4", "'q0'", "'d1'", "2", "1"]),
        ("q0\td1\t1\n", ["line 1", "3 columns", "header"]),
        ("q0 0 d1 1\nq0 d2 1\n", ["line 2", "3 columns"]),
        ("q0 0 d1 -2\n", ["line 1", "'-2'"]),
        (
            HEADER + "q0\td1\t1\n\nq8\td2\t1\nq9\td2\t1\n",
            ["line 4", "query id 'q8'", "2 such", "queries.parquet"],
        ),
        ("q0 0 d1 1\nq0 0 x 0\nq1 0 x 1\n", ["line 2", "corpus id 'x'", "1 such", "corpus.parquet"]),
        (HEADER, ["'test' is empty"]),
        ("", ["'test' is empty"]),
        (HEADER + "q0\td1\t0\n", ["above 0"]),
    ],
)
def test_bad_qrels(qrels: str, words: list[str], tmp_path: Path) -> None:
    write_dataset(tmp_path, qrels)
    assert_says(refusal(tmp_path), "test.tsv", *words)


def test_qrels_that_are_not_text(tmp_path: Path) -> None:
    write_dataset(tmp_path, "")
    (tmp_path / "qrels" / "test.tsv").write_bytes(b"\xff\xfe\x00q0")
    assert_says(refusal(tmp_path), "test.tsv", "cannot be read as qrels")


@pytest.mark.parametrize(
    ("scale", "said"),
    [(1e50, "column 0 is 1e\\+50, more than float32 can hold"), (1e-60, "is a zero vector")],
)
def test_rows_that_float32_cannot_hold_are_named(scale: float, said: str) -> None:
    rows = np.ones((5, 4))
    rows[3] *= scale
    with pytest.raises(DataError, match=rf"row 3.*{said}"):
        Dataset(rows)


def test_vectors_that_are_too_wide_are_refused_before_their_moments_take_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "corpus.npy", np.ones((5, 16_385), dtype=np.float32))
    (tmp_path / "corpus.ids.txt").write_text("".join(f"d{row}\n" for row in range(5)))
    result = CliRunner().invoke(app, ["train", str(tmp_path), "-o", str(tmp_path / "out"), "--unsupervised"])
    assert result.exit_code == 2
    assert "vectors of 16,385 dims are too wide: 16,384 is the most" in result.stderr
    assert not (tmp_path / "out").exists()
