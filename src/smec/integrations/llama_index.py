"""LlamaIndex: a ``BaseEmbedding`` whose vectors are compressed as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smec.compressor import Compressor
from smec.encoder import served
from smec.errors import MissingExtraError
from smec.integrations.inputs import as_table, loaded

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
except ImportError as error:
    raise MissingExtraError("llama-index-core", "llama-index", "smec.integrations.llama_index") from error

Vector = list[float]


class CompressedEmbedding(BaseEmbedding):
    """Any LlamaIndex embedding model followed by a compressor.

    Parameters
    ----------
    embedding : BaseEmbedding
        The model that the compressor was trained for.
    compressor : Compressor, str or Path
        One, or the folder of one.
    dim : int, optional
        A served size; the largest by default.
    **settings
        Fields of ``BaseEmbedding``; ``model_name`` and ``embed_batch_size`` are those of ``embedding``
        by default.

    Raises
    ------
    ArtefactError
        The folder is not that of a compressor.
    ConfigError
        The size is not served.

    Notes
    -----
    All methods raise DataError where the embeddings are of another width than the compressor is for,
    or have NaN, Inf or only zeros.

    LlamaIndex's ``embeddings_cache`` knows a vector by its text alone, not by the model or whether it was a
    query: empty it when queries get another matrix. Its ``IngestionCache`` of documents stays valid.
    """

    smec_dim: int
    """Numbers of a vector. This field and the next are what LlamaIndex's caches know a model by."""
    smec_compressor: str
    """Fingerprint of what makes documents, which another matrix for queries does not change."""
    _embedding: BaseEmbedding = PrivateAttr()
    _compressor: Compressor = PrivateAttr()

    def __init__(
        self,
        embedding: BaseEmbedding,
        compressor: Compressor | str | Path,
        dim: int | None = None,
        **settings: Any,
    ) -> None:
        whole = loaded(compressor)
        own = {"model_name": embedding.model_name, "embed_batch_size": embedding.embed_batch_size}
        of_smec = {"smec_dim": served(dim, whole.dims, whole.name), "smec_compressor": whole.fingerprint}
        super().__init__(**{**own, **settings, **of_smec})
        self._embedding = embedding
        self._compressor = whole

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex serialises."""
        return "SmecCompressedEmbedding"

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.smec_dim

    def _get_query_embedding(self, query: str) -> Vector:
        return self._query(self._embedding.get_query_embedding(query))

    async def _aget_query_embedding(self, query: str) -> Vector:
        return self._query(await self._embedding.aget_query_embedding(query))

    def _get_text_embedding(self, text: str) -> Vector:
        return self._texts([self._embedding.get_text_embedding(text)])[0]

    async def _aget_text_embedding(self, text: str) -> Vector:
        return self._texts([await self._embedding.aget_text_embedding(text)])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return self._texts(self._embedding.get_text_embedding_batch(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return self._texts(await self._embedding.aget_text_embedding_batch(texts))

    def _texts(self, vectors: list[Vector]) -> list[Vector]:
        if not vectors:
            return []
        small: list[Vector] = self._compressor.encode(as_table(vectors), self.smec_dim).tolist()
        return small

    def _query(self, vector: Vector) -> Vector:
        small: Vector = self._compressor.encode_queries(as_table(vector), self.smec_dim).tolist()
        return small
