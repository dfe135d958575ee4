"""Writes one small table of vectors in every form that smec reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.data import Embeddings
from smec.vectors import FloatArray

Writer = Callable[[Path, str, Embeddings], Path]


def table(embeddings: Embeddings, list_type: str = "fixed") -> pa.Table:
    """The columns id, vector, text and title, the vectors as fixed-size, "list" or "large" lists."""
    columns: dict[str, Any] = {"id": list(embeddings.ids), "vector": lists(embeddings.vectors, list_type)}
    if embeddings.texts is not None:
        columns["text"] = list(embeddings.texts)
    if embeddings.titles is not None:
        columns["title"] = list(embeddings.titles)
    return pa.table(columns)


def lists(vectors: FloatArray, list_type: str) -> pa.Array:
    rows, dim = vectors.shape
    values = pa.array(np.ascontiguousarray(vectors).ravel())
    if list_type == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, dim)
    offsets = np.arange(rows + 1) * dim
    if list_type == "list":
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)


def parquet(folder: Path, role: str, embeddings: Embeddings, list_type: str = "fixed") -> Path:
    pq.write_table(table(embeddings, list_type), folder / f"{role}.parquet")
    return folder / f"{role}.parquet"


def parquet_list(folder: Path, role: str, embeddings: Embeddings) -> Path:
    return parquet(folder, role, embeddings, "list")


def parquet_large_list(folder: Path, role: str, embeddings: Embeddings) -> Path:
    return parquet(folder, role, embeddings, "large")


def parquet_row_groups(folder: Path, role: str, embeddings: Embeddings) -> Path:
    pq.write_table(table(embeddings), folder / f"{role}.parquet", row_group_size=3)
    return folder / f"{role}.parquet"


def parquet_shards(folder: Path, role: str, embeddings: Embeddings) -> Path:
    shards = folder / role
    shards.mkdir(parents=True)
    whole = table(embeddings)
    pq.write_table(whole.slice(0, 4), shards / "part-000.parquet")
    pq.write_table(whole.slice(4), shards / "part-001.parquet")
    return shards


def arrow(folder: Path, role: str, embeddings: Embeddings) -> Path:
    path = folder / f"{role}.arrow"
    whole = table(embeddings)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole)
    return path


def arrow_stream(folder: Path, role: str, embeddings: Embeddings) -> Path:
    path = folder / f"{role}.ipc"
    whole = table(embeddings, "list")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=4)
    return path


def npy(folder: Path, role: str, embeddings: Embeddings) -> Path:
    np.save(folder / f"{role}.npy", embeddings.vectors)
    (folder / f"{role}.ids.txt").write_text("".join(f"{id_}\n" for id_ in embeddings.ids), "utf-8")
    return folder / f"{role}.npy"


def npz(folder: Path, role: str, embeddings: Embeddings) -> Path:
    np.savez(folder / f"{role}.npz", ids=np.array(embeddings.ids), vectors=embeddings.vectors)
    return folder / f"{role}.npz"


def npz_compressed(folder: Path, role: str, embeddings: Embeddings) -> Path:
    np.savez_compressed(folder / f"{role}.npz", ids=np.array(embeddings.ids), vectors=embeddings.vectors)
    return folder / f"{role}.npz"


def beir(folder: Path, role: str, embeddings: Embeddings) -> Path:
    np.save(folder / f"{role}.npy", embeddings.vectors)
    with (folder / f"{role}.jsonl").open("w", encoding="utf-8") as lines:
        for row, id_ in enumerate(embeddings.ids):
            record = {"_id": id_, "metadata": {}}
            record |= {} if embeddings.titles is None else {"title": embeddings.titles[row]}
            record |= {} if embeddings.texts is None else {"text": embeddings.texts[row]}
            lines.write(json.dumps(record) + "\n")
    return folder / f"{role}.jsonl"


WITH_TEXTS: dict[str, Writer] = {
    "parquet": parquet,
    "parquet-list": parquet_list,
    "parquet-large-list": parquet_large_list,
    "parquet-row-groups": parquet_row_groups,
    "parquet-shards": parquet_shards,
    "arrow": arrow,
    "arrow-stream": arrow_stream,
    "beir": beir,
}
WITHOUT_TEXTS: dict[str, Writer] = {"npy": npy, "npz": npz, "npz-compressed": npz_compressed}
WRITERS = WITH_TEXTS | WITHOUT_TEXTS
