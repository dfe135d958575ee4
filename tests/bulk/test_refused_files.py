"""What cannot be compressed is refused in one line, and nothing is left behind."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import (
    INPUTS,
    OUTPUTS,
    WIDTH,
    compressor,
    listing,
    lists,
    table,
    vectors,
    write_arrow,
    write_npy,
    write_parquet,
    write_shards,
)

from smec.bulk.compress import compress
from smec.errors import ConfigError, DataError, OutputError, SmecError

COMPRESSOR = compressor()


def refused(error: type[SmecError], source: Path, output: Path, *words: str, **options: Any) -> None:
    """Compressing raises ``error`` with ``words`` in its one line, and changes no file."""
    folder = output.parent
    before = listing(folder)
    with pytest.raises(error) as caught:
        compress(COMPRESSOR, source, output, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert listing(folder) == before


def with_value(value: float) -> pa.Table:
    matrix = vectors()
    matrix[13, 2] = value
    return table(matrix)


def zero_row() -> pa.Table:
    matrix = vectors()
    matrix[13] = 0
    return table(matrix)


def with_vector(row: int, vector: list[float | None] | None) -> pa.Table:
    rows: list[Any] = vectors().tolist()
    rows[row] = vector
    return pa.table({"id": [f"d{n}" for n in range(20)], "vector": pa.array(rows, pa.list_(pa.float32()))})


BAD_ROWS: dict[str, tuple[Callable[[], pa.Table], tuple[str, ...]]] = {
    "NaN": (lambda: with_value(np.nan), ("row 13", "column 2", "nan")),
    "Inf": (lambda: with_value(-np.inf), ("row 13", "column 2", "-inf")),
    "zero": (zero_row, ("row 13", "zero vector")),
    "ragged": (lambda: with_vector(13, [1.0] * 5), ("row 13", "5 dims", "16")),
    "null": (lambda: with_vector(13, None), ("row 13", "no vector")),
    "null number": (lambda: with_vector(13, [None] * WIDTH), ("row 13", "column 0", "null")),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrow-stream"])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_bad_rows(tmp_path: Path, bad: str, kind: str, output: str) -> None:
    make, words = BAD_ROWS[bad]
    refused(DataError, INPUTS[kind](tmp_path, make()), tmp_path / output, *words)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("bad", ["NaN", "Inf", "zero"])
def test_bad_rows_of_npy(tmp_path: Path, bad: str, output: str) -> None:
    make, words = BAD_ROWS[bad]
    refused(DataError, write_npy(tmp_path, make()), tmp_path / output, *words)


def test_a_row_too_long_for_float32(tmp_path: Path) -> None:
    matrix = vectors(dtype="float64")
    matrix[13] = 1e100
    np.save(tmp_path / "in.npy", matrix)
    refused(DataError, tmp_path / "in.npy", tmp_path / "out.npy", "row 13", "more than float32 can hold")


def test_a_row_of_which_nothing_is_left(tmp_path: Path) -> None:
    # Already compressed to 8 dims, with nothing in the first 4.
    matrix = vectors(width=8)
    matrix[13, :4] = 0
    np.save(tmp_path / "in.npy", matrix)
    words = ("row 13", "zero vector", "compressed to 4 dims")
    refused(DataError, tmp_path / "in.npy", tmp_path / "out.npy", *words, from_dim=8, dim=4)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("options", [{}, {"from_dim": 8, "dim": 4}])
def test_another_width(tmp_path: Path, kind: str, options: dict[str, int]) -> None:
    source = INPUTS[kind](tmp_path, table(vectors(width=5)))
    refused(DataError, source, tmp_path / "out.npy", "5 dims", str(options.get("from_dim", 16)), **options)


def test_a_row_without_id(tmp_path: Path) -> None:
    whole = pa.table({"id": ["a", "b", None], "vector": lists(vectors(3))})
    refused(DataError, write_parquet(tmp_path, whole), tmp_path / "out.parquet", "row 2", "no id")


def test_an_id_that_is_no_line(tmp_path: Path) -> None:
    whole = pa.table({"id": ["a", "b\nc", "d"], "vector": lists(vectors(3))})
    refused(DataError, write_parquet(tmp_path, whole), tmp_path / "out.npy", "'b\\nc'", "line break")


def test_another_number_of_ids(tmp_path: Path) -> None:
    source = write_npy(tmp_path, table(vectors()))
    (tmp_path / "in.ids.txt").write_text("a\nb\n")
    refused(DataError, source, tmp_path / "out.npy", "2 ids", "20 vectors")


def test_no_vector_column(tmp_path: Path) -> None:
    source = write_parquet(tmp_path, pa.table({"id": ["a"], "embedding": [[1.0]]}))
    refused(DataError, source, tmp_path / "out.parquet", "'vector'", "id, embedding")


@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind != "parquet-shards"])
def test_no_rows(tmp_path: Path, kind: str) -> None:
    source = INPUTS[kind](tmp_path, pa.table({"id": pa.array([], pa.string()), "vector": lists(vectors(0))}))
    refused(DataError, source, tmp_path / "out.parquet", source.name)


@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind != "parquet-shards"])
@pytest.mark.parametrize("share", [0, 0.01, 0.6])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    source = INPUTS[kind](tmp_path, table(vectors()))
    whole = source.read_bytes()
    source.write_bytes(whole[: int(share * len(whole))])
    refused(DataError, source, tmp_path / "out.parquet", source.name)


def test_a_truncated_shard(tmp_path: Path) -> None:
    source = write_shards(tmp_path, table(vectors()))
    shard = source / "part-1.parquet"
    shard.write_bytes(shard.read_bytes()[:-9])
    refused(DataError, source, tmp_path / "out.parquet", "part-1.parquet")


def test_shards_with_other_columns(tmp_path: Path) -> None:
    source = write_shards(tmp_path, table(vectors()))
    pq.write_table(table(vectors()).drop_columns("kind"), source / "part-2.parquet")
    refused(DataError, source, tmp_path / "out.parquet", "part-2.parquet", "text", "kind")


def test_no_shards(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(DataError, tmp_path / "in", tmp_path / "out.parquet", "no *.parquet shards")


def test_no_input(tmp_path: Path) -> None:
    refused(DataError, tmp_path / "in.parquet", tmp_path / "out.parquet", "in.parquet: no such file")


@pytest.mark.parametrize(
    ("source", "output"), [("in.csv", "out.npy"), ("in.npy", "out"), ("in.npy", "out.npz")]
)
def test_unknown_kinds_of_file(tmp_path: Path, source: str, output: str) -> None:
    np.save(tmp_path / "in.npy", vectors())
    refused(
        ConfigError,
        tmp_path / source,
        tmp_path / output,
        "unknown kind",
        ".parquet, .arrow, .feather, .ipc, .npy",
    )


def test_sizes_and_codecs_that_are_not_served(tmp_path: Path) -> None:
    source, output = write_parquet(tmp_path, table(vectors())), tmp_path / "out.npy"
    refused(ConfigError, source, output, "size 5", "8, 4, 2", dim=5)
    refused(ConfigError, source, output, "size 5", "8, 4, 2", from_dim=5, dim=4)
    refused(ConfigError, source, output, "size 0", from_dim=8, dim=0)
    refused(ConfigError, source, output, "codec", "int3", codec="int3")
    small = tmp_path / "small.npy"
    compress(COMPRESSOR, source, small, dim=4)
    refused(ConfigError, small, output, "size 8", "4 dims", from_dim=4, dim=8)


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = write_parquet(tmp_path, table(vectors()))
    (tmp_path / "link.parquet").symlink_to(source)
    refused(ConfigError, source, tmp_path / "." / "in.parquet", "is the input", force=True)
    refused(ConfigError, source, tmp_path / "link.parquet", "is the input", force=True)
    shards = write_shards(tmp_path, table(vectors()))
    refused(ConfigError, shards, shards / "out.parquet", "lies in it")


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "shards.parquet"
    folder.mkdir()
    source = write_parquet(folder, table(vectors()))
    refused(OutputError, source, folder, "is a folder", force=True)
    assert source.exists()


@pytest.mark.parametrize("existing", ["out.npy", "out.ids.txt"])
def test_an_existing_output(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    refused(
        OutputError,
        write_parquet(tmp_path, table(vectors())),
        tmp_path / "out.npy",
        existing,
        "exists already",
    )
    assert (tmp_path / existing).read_text() == "mine"


def test_columns_that_a_format_cannot_hold(tmp_path: Path) -> None:
    whole = table(vectors(2)).append_column(
        "odd",
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
    )
    refused(
        OutputError, write_arrow(tmp_path, whole), tmp_path / "out.parquet", "Parquet cannot hold", "union"
    )


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """What a full disk is to a writer: the operating system refuses bytes beyond ``size``."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [0, 40_000])
def test_a_disk_that_is_full(tmp_path: Path, output: str, size: int) -> None:
    source = write_parquet(tmp_path, table(vectors(5000)))
    with file_size_limit(size):
        refused(OutputError, source, tmp_path / output, "cannot be written", "File too large")


def test_a_disk_that_is_full_leaves_the_old_output(tmp_path: Path) -> None:
    source = write_parquet(tmp_path, table(vectors(5000)))
    compress(COMPRESSOR, source, tmp_path / "out.npy", dim=2)
    before = (tmp_path / "out.npy").read_bytes()
    with file_size_limit(40_000):
        refused(OutputError, source, tmp_path / "out.npy", "File too large", force=True)
    assert (tmp_path / "out.npy").read_bytes() == before
