"""Datasets: a corpus, its queries and their relevance judgements, from a folder or from arrays."""

from smec.data.dataset import Dataset, JudgedQueries
from smec.data.embeddings import Embeddings
from smec.data.qrels import Qrels

__all__ = ["Dataset", "Embeddings", "JudgedQueries", "Qrels"]
