"""A compressed file holds what the compressor makes of the vectors, and everything else unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import (
    DIMS,
    INPUTS,
    OUTPUTS,
    TABLE_OUTPUTS,
    TABLES,
    WIDTH,
    compressor,
    listing,
    lists,
    read_back,
    read_table,
    table,
    vectors,
    write_npy,
    write_parquet,
    write_stream,
)

from smec.bulk.compress import compress
from smec.data.readers import read_vectors
from smec.vectors import BLOCK_ROWS

COMPRESSOR = compressor()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_pair_of_formats(tmp_path: Path, kind: str, output: str) -> None:
    matrix = vectors()
    source = INPUTS[kind](tmp_path, table(matrix))
    compress(COMPRESSOR, source, tmp_path / output, dim=4)
    ids, small = read_back(tmp_path / output)
    assert ids == [f"d{row}" for row in range(20)]
    assert small.dtype == np.float32
    assert np.array_equal(small, COMPRESSOR.encode(matrix, 4))


@pytest.mark.parametrize("output", TABLE_OUTPUTS)
@pytest.mark.parametrize("kind", TABLES)
def test_columns_and_metadata_are_carried_along(tmp_path: Path, kind: str, output: str) -> None:
    whole = table(vectors())
    compress(COMPRESSOR, TABLES[kind](tmp_path, whole), tmp_path / output, dim=2, codec="float16")
    result = read_table(tmp_path / output)
    assert result.column_names == whole.column_names
    for name in set(whole.column_names) - {"vector"}:
        assert result.schema.field(name).type == whole.schema.field(name).type
        assert result[name].to_pylist() == whole[name].to_pylist()
    assert result.schema.field("vector").type == pa.list_(pa.float16(), 2)
    assert result.schema.field("year").metadata[b"unit"] == b"year"
    assert result.schema.metadata[b"made by"] == b"a test"
    assert json.loads(result.schema.metadata[b"smec"]) == {
        "model": COMPRESSOR.fingerprint,
        "dim": 2,
        "codec": "float16",
    }


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("codec", ["float32", "float16"])
def test_codecs_are_exact_casts(tmp_path: Path, dtype: str, codec: str, output: str) -> None:
    matrix = vectors(dtype=dtype)
    compressed = compress(
        COMPRESSOR, write_npy(tmp_path, table(matrix)), tmp_path / output, dim=8, codec=codec
    )
    small = read_back(tmp_path / output)[1]
    assert small.dtype == codec
    assert np.array_equal(small, COMPRESSOR.encode(matrix, 8).astype(codec))
    assert compressed.input_bytes_per_vector == WIDTH * np.dtype(dtype).itemsize
    assert compressed.bytes_per_vector == 8 * np.dtype(codec).itemsize


def test_what_was_done_is_returned(tmp_path: Path) -> None:
    source = write_parquet(tmp_path, table(vectors()))
    done = compress(COMPRESSOR, str(source), str(tmp_path / "deep" / "out.arrow"))
    assert (done.rows, done.input_dim, done.dim, done.codec) == (20, WIDTH, DIMS[0], "float32")
    assert (done.input_bytes_per_vector, done.bytes_per_vector) == (64, 32)
    assert done.output == tmp_path / "deep" / "out.arrow"
    assert listing(done.output.parent) == ["out.arrow"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_data_layer_reads_it(tmp_path: Path, output: str) -> None:
    compress(COMPRESSOR, write_parquet(tmp_path, table(vectors())), tmp_path / output, dim=4)
    small = read_vectors(tmp_path / output)
    assert list(small.ids) == [f"d{row}" for row in range(20)]
    assert np.array_equal(small.vectors, COMPRESSOR.encode(vectors(), 4))


@pytest.mark.parametrize("dim", [4, 2])
def test_vectors_compressed_before_become_smaller(tmp_path: Path, dim: int) -> None:
    source = write_parquet(tmp_path, table(vectors()))
    compress(COMPRESSOR, source, tmp_path / "eight.parquet", dim=8)
    compress(COMPRESSOR, tmp_path / "eight.parquet", tmp_path / "small.npy", from_dim=8, dim=dim)
    small = np.load(tmp_path / "small.npy")
    assert np.array_equal(small, COMPRESSOR.shrink(COMPRESSOR.encode(vectors(), 8), dim))
    np.testing.assert_allclose(small, COMPRESSOR.encode(vectors(), dim), atol=1e-6)


def test_from_dim_alone_means_the_smallest_size(tmp_path: Path) -> None:
    source = write_npy(tmp_path, table(vectors(width=8)))
    assert compress(COMPRESSOR, source, tmp_path / "out.npy", from_dim=8).dim == 2
    assert np.array_equal(np.load(tmp_path / "out.npy"), COMPRESSOR.shrink(vectors(width=8), 2))


def test_npy_without_ids_becomes_a_table_with_row_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors())
    compress(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out.parquet")
    result = pq.read_table(tmp_path / "out.parquet")
    assert result["id"].to_pylist() == [str(row) for row in range(20)]
    assert result.column_names == ["id", "vector"]


def test_npy_without_ids_becomes_npy_without_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors())
    compress(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out.npy")
    assert listing(tmp_path) == ["in.npy", "out.npy"]


def test_npy_in_fortran_order(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.asfortranarray(vectors()))
    compress(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out.npy")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), COMPRESSOR.encode(vectors()), atol=1e-6)


def test_integer_ids_become_lines(tmp_path: Path) -> None:
    whole = pa.table({"id": pa.array([7, 8, 9]), "vector": lists(vectors(3), large=True)})
    compress(COMPRESSOR, write_parquet(tmp_path, whole), tmp_path / "out.npy")
    assert (tmp_path / "out.ids.txt").read_text() == "7\n8\n9\n"


def test_shards_may_hold_their_vectors_in_different_types(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    first, second = vectors(3), vectors(4, dtype="float16")
    pq.write_table(pa.table({"id": ["a", "b", "c"], "vector": lists(first)}), shards / "0.parquet")
    pq.write_table(
        pa.table({"id": ["d", "e", "f", "g"], "vector": lists(second, large=True)}), shards / "1.parquet"
    )
    compress(COMPRESSOR, shards, tmp_path / "out.npy")
    ids, small = read_back(tmp_path / "out.npy")
    assert "".join(ids) == "abcdefg"
    assert np.array_equal(small, np.concatenate([COMPRESSOR.encode(first), COMPRESSOR.encode(second)]))


def test_small_batches_are_joined(tmp_path: Path) -> None:
    compress(COMPRESSOR, write_stream(tmp_path, table(vectors(60))), tmp_path / "out.parquet")
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 1
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [f"d{row}" for row in range(60)]


@pytest.mark.parametrize("output", ["out.arrow", "out.parquet"])
def test_dictionaries_that_differ_from_shard_to_shard(tmp_path: Path, output: str) -> None:
    kinds: list[list[str | None]] = [["red", "blue"], ["blue", "green"], ["blue", None], ["black", "red"]]
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, kind in enumerate(kinds):
        columns = {"id": [f"{number}.0", f"{number}.1"], "vector": lists(vectors(2))}
        pq.write_table(
            pa.table({**columns, "kind": pa.array(kind).dictionary_encode()}), shards / f"{number}.parquet"
        )
    compress(COMPRESSOR, shards, tmp_path / output)
    result = read_table(tmp_path / output)
    assert result["kind"].to_pylist() == [value for kind in kinds for value in kind]
    assert pa.types.is_dictionary(result["kind"].type)


def test_parquet_takes_little_more_than_the_vectors(tmp_path: Path) -> None:
    source = write_npy(tmp_path, table(vectors(BLOCK_ROWS)))
    compress(COMPRESSOR, source, tmp_path / "out.parquet")
    column = pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(0).column(1)
    assert column.path_in_schema.startswith("vector.")
    assert column.total_compressed_size < 1.1 * BLOCK_ROWS * 8 * 4


def test_an_existing_output_is_replaced_with_force(tmp_path: Path) -> None:
    source = write_parquet(tmp_path, table(vectors()))
    (tmp_path / "out.npy").write_text("old")
    (tmp_path / "out.ids.txt").write_text("old")
    compress(COMPRESSOR, source, tmp_path / "out.npy", force=True)
    assert read_back(tmp_path / "out.npy")[0] == [f"d{row}" for row in range(20)]
    assert listing(tmp_path) == ["in.parquet", "out.ids.txt", "out.npy"]
