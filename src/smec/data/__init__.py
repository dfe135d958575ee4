"""Datasets: a corpus, its queries and their relevance judgements, from a folder or from arrays.

The names are imported when they are first used: who reads a file of vectors needs no datasets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smec.data.dataset import Dataset, JudgedQueries
    from smec.data.embeddings import Embeddings
    from smec.data.qrels import Qrels

_HOMES = {
    "Dataset": "smec.data.dataset",
    "Embeddings": "smec.data.embeddings",
    "JudgedQueries": "smec.data.dataset",
    "Qrels": "smec.data.qrels",
}

__all__ = ["Dataset", "Embeddings", "JudgedQueries", "Qrels"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'smec.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
