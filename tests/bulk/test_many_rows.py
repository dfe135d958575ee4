"""Files of many blocks: progress, row numbers, and memory that does not grow with the rows."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import INPUTS, WIDTH, compressor, listing, lists, read_back, table, vectors

from smec.bulk.compress import compress
from smec.errors import DataError
from smec.vectors import BLOCK_ROWS

COMPRESSOR = compressor()
ROWS = 2 * BLOCK_ROWS + 5


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.npy"])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrow-stream", "npy"])
def test_progress_and_order(tmp_path: Path, kind: str, output: str) -> None:
    matrix = vectors(ROWS)
    whole = pa.table({"id": [f"d{row}" for row in range(ROWS)], "vector": lists(matrix)})
    calls: list[tuple[int, int]] = []
    compress(
        COMPRESSOR,
        INPUTS[kind](tmp_path, whole),
        tmp_path / output,
        dim=4,
        progress=lambda *call: calls.append(call),
    )
    assert calls[-1] == (ROWS, ROWS)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    ids, small = read_back(tmp_path / output)
    assert ids == whole["id"].to_pylist()
    np.testing.assert_allclose(small, COMPRESSOR.encode(matrix, 4), atol=1e-6)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "npy"])
def test_a_bad_row_in_a_later_block_is_named(tmp_path: Path, kind: str) -> None:
    matrix = vectors(ROWS)
    matrix[BLOCK_ROWS + 3, 5] = np.nan
    whole = pa.table({"id": [f"d{row}" for row in range(ROWS)], "vector": lists(matrix)})
    source = INPUTS[kind](tmp_path, whole)
    before = listing(tmp_path)
    with pytest.raises(DataError, match=f"row {BLOCK_ROWS + 3}, column 5 is nan"):
        compress(COMPRESSOR, source, tmp_path / "out.npy")
    assert listing(tmp_path) == before


def test_rows_are_numbered_within_their_shard(tmp_path: Path) -> None:
    matrix = vectors()
    matrix[9] = 0
    source = INPUTS["parquet-shards"](tmp_path, table(matrix))
    with pytest.raises(DataError, match=r"part-1\.parquet: row 2 is a zero vector"):
        compress(COMPRESSOR, source, tmp_path / "out.npy")


def peak(source: Path, output: Path) -> int:
    """Resident bytes of this process at most, as each block of rows is done."""
    process = psutil.Process()
    seen: list[int] = []
    compress(
        COMPRESSOR, source, output, force=True, progress=lambda *_: seen.append(process.memory_info().rss)
    )
    return max(seen)


def write_long(folder: Path, kind: str, rows: int) -> Path:
    """One row group or record batch, as large as can be: what is hardest to take in pieces."""
    matrix = np.ones((rows, WIDTH), np.float64)
    if kind == "npy":
        np.save(folder / "in.npy", matrix)
        return folder / "in.npy"
    whole = pa.table({"id": pa.array(np.arange(rows)), "vector": lists(matrix)})
    if kind == "parquet":
        pq.write_table(whole, folder / "in.parquet", use_dictionary=False, compression="none")
        return folder / "in.parquet"
    return INPUTS[kind](folder, whole)


@pytest.mark.parametrize(
    ("kind", "output"), [("parquet", "out.arrow"), ("arrow", "out.npy"), ("npy", "out.parquet")]
)
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path, kind: str, output: str) -> None:
    # A process of its own, in which nothing was allocated before.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        few, many = (
            process.submit(peak, write_long(tmp_path, kind, rows), tmp_path / output).result()
            for rows in (60_000, 600_000)
        )
    file_size = 600_000 * WIDTH * 8
    assert many - few < file_size / 3
