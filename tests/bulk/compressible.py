"""A small compressor, a table of every kind of column, and the files that hold it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.block import Block
from smec.compressor import Compressor
from smec.vectors import FloatArray

WIDTH = 16
DIMS = (8, 4, 2)


def compressor() -> Compressor:
    """Sizes 8 and 4 are prefixes of one matrix with a bias; 2 has its own, with a head on the size 4."""
    rng = np.random.default_rng(7)
    square = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
    head = rng.normal(size=(4, 2)).astype(np.float32)
    bias = (rng.normal(size=8) / 4).astype(np.float32)
    return Compressor.assemble(
        [
            Block(square[:, :8], (8, 4), "pca-centred", bias=bias),
            Block(np.ascontiguousarray(square[:, :4] @ head), (2,), "smec", head, 4, bias[:4] @ head),
        ],
        {
            "smec_version": "0",
            "preset": "default",
            "supervised": False,
            "training": {},
            "data": {},
            "libraries": {},
        },
        canaries=square[:2],
        mean=np.zeros(WIDTH),
    )


def vectors(rows: int = 20, width: int = WIDTH, dtype: str = "float32") -> FloatArray:
    rng = np.random.default_rng(rows)
    drawn: FloatArray = rng.normal(size=(rows, width)).astype(dtype)
    return drawn


def lists(matrix: FloatArray, large: bool = False) -> pa.Array:
    values = pa.array(np.ascontiguousarray(matrix).ravel())
    if large:
        return pa.LargeListArray.from_arrays(np.arange(len(matrix) + 1) * matrix.shape[1], values)
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1])


def table(matrix: FloatArray) -> pa.Table:
    """The vectors in the third place, among ids and columns that must not change."""
    rows = range(len(matrix))
    columns = {
        "year": pa.array([2000 + row for row in rows], pa.int16()),
        "id": pa.array([f"d{row}" for row in rows]),
        "vector": lists(matrix),
        "tags": pa.array([None if row % 3 == 0 else [["a", f"ü{row}"], []] for row in rows]),
        "kind": pa.array([("red", "blue", None)[row // 7 % 3] for row in rows]).dictionary_encode(),
        "text": pa.array([None if row % 5 == 0 else f"text {row}" for row in rows]),
        "none": pa.nulls(len(matrix), pa.float64()),
    }
    fields = [
        pa.field(name, column.type, metadata={"unit": name} if name == "year" else None)
        for name, column in columns.items()
    ]
    return pa.table(list(columns.values()), schema=pa.schema(fields, {"made by": "a test"}))


def write_parquet(folder: Path, whole: pa.Table) -> Path:
    pq.write_table(whole, folder / "in.parquet")
    return folder / "in.parquet"


def write_row_groups(folder: Path, whole: pa.Table) -> Path:
    pq.write_table(whole, folder / "in.parquet", row_group_size=6)
    return folder / "in.parquet"


def write_shards(folder: Path, whole: pa.Table) -> Path:
    (folder / "in").mkdir()
    pq.write_table(whole.slice(0, 7), folder / "in" / "part-0.parquet")
    pq.write_table(whole.slice(7), folder / "in" / "part-1.parquet")
    return folder / "in"


def write_arrow(folder: Path, whole: pa.Table) -> Path:
    with pa.OSFile(str(folder / "in.arrow"), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole)
    return folder / "in.arrow"


def write_feather(folder: Path, whole: pa.Table) -> Path:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    path = folder / "in.feather"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema, options=options) as writer:
        writer.write_table(whole, max_chunksize=6)
    return path


def write_stream(folder: Path, whole: pa.Table) -> Path:
    with pa.OSFile(str(folder / "in.ipc"), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=6)
    return folder / "in.ipc"


def write_npy(folder: Path, whole: pa.Table) -> Path:
    width = whole.schema.field("vector").type.list_size
    matrix = np.concatenate([chunk.flatten().to_numpy() for chunk in whole["vector"].chunks])
    np.save(folder / "in.npy", matrix.reshape(-1, width))
    (folder / "in.ids.txt").write_text("".join(f"{id_}\n" for id_ in whole["id"].to_pylist()), "utf-8")
    return folder / "in.npy"


TABLES: dict[str, Callable[[Path, pa.Table], Path]] = {
    "parquet": write_parquet,
    "parquet-row-groups": write_row_groups,
    "parquet-shards": write_shards,
    "arrow": write_arrow,
    "arrow-compressed": write_feather,
    "arrow-stream": write_stream,
}
INPUTS = TABLES | {"npy": write_npy}
TABLE_OUTPUTS = ("out.parquet", "out.arrow", "out.feather", "out.ipc")
OUTPUTS = (*TABLE_OUTPUTS, "out.npy")


def read_table(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.ParquetFile(path).read()
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def read_back(path: Path) -> tuple[list[str], Any]:
    """The ids and vectors in ``path``, read by the formats' own libraries."""
    if path.suffix == ".npy":
        return path.with_name(f"{path.stem}.ids.txt").read_text("utf-8").splitlines(), np.load(path)
    whole = read_table(path)
    values = whole["vector"].combine_chunks().flatten().to_numpy()
    return whole["id"].to_pylist(), values.reshape(whole.num_rows, -1)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
