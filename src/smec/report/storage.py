"""What vectors of some bytes come to in storage, in memory, and under the limits of known indexes."""

from __future__ import annotations

from dataclasses import dataclass

COUNTS = (10**6, 10**8, 10**9)
"""Vectors."""

LINKS = 16
"""M, the links per node and layer of an HNSW graph, as most databases set it."""


def hnsw_bytes(code_bytes: int) -> float:
    """Memory of a vector in an HNSW graph: its code and its links, four bytes each.

    A node has 2 M links in the lowest layer and M in each one above, where one node in M of those
    below stands: M / (M - 1) more on average.
    """
    return code_bytes + 4 * (2 * LINKS + LINKS / (LINKS - 1))


@dataclass(frozen=True)
class Limit:
    """The most dims that an index takes."""

    index: str
    dims: int
    codec: str
    """What the limit is for: "float", "float16" or "binary"."""


LIMITS = (
    Limit("pgvector HNSW or IVFFlat, vector", 2000, "float32"),
    Limit("pgvector HNSW or IVFFlat, halfvec", 4000, "float16"),
    Limit("pgvector HNSW, bit", 64_000, "binary"),
    Limit("Lucene HNSW, as it comes", 1024, "float32"),
    Limit("Elasticsearch dense_vector", 4096, "float32"),
)
"""Of pgvector 0.8, of Lucene's default and of Elasticsearch from 8.11 on."""


def storage(code_bytes: int) -> list[str]:
    """Bytes of a million, a hundred million and a billion codes, in words."""
    return [readable(count * code_bytes) for count in COUNTS]


def memory(code_bytes: int) -> list[str]:
    """The same in an HNSW graph."""
    return [readable(count * hnsw_bytes(code_bytes)) for count in COUNTS]


def readable(size: float) -> str:
    """Bytes with a unit of 1,000: ``307 GB``."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    number = 0
    while size >= 999.5 and number < len(units) - 1:
        size /= 1000
        number += 1
    return f"{size:.3g} {units[number]}"
